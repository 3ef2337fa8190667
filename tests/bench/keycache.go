package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/rueidis"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keyring"
	"github.com/tenurehq/tenure/projections/invalidation"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	"github.com/tenurehq/tenure/tests/redistest"
)

// keys is how many keys a cache is filled with.
func (s sizes) cached() int { return min(100_000, s.orgs*s.projectsPerOrg*s.keysPerProject) }

// planed is a server with many keys of one organization, and where its caches hear of changes.
type planed struct {
	*app.App
	server  *redistest.Server
	ids     []domain.KeyID
	secrets []string
	ring    *keyring.Ring
}

func (p *planed) do(c domain.Command) {
	must(p.Engine.Execute(context.Background(), engine.Request{Command: c, Rule: anyRule, Actor: instance, Info: &eventv1.RequestInfo{}}))
}

func startPlaned(n int) *planed {
	p := &planed{server: must(redistest.New())}
	dir := tempDir()
	p.App = must(app.Start(context.Background(), app.Config{DataDir: dir, Listen: "127.0.0.1:0", AdminKey: adminKey, Logger: silent, RedisURL: p.server.URL()}))
	peppers, _, err := keyring.LoadPeppers(dir + "/pepper")
	check(err)
	p.ring = must(keyring.New(keyring.Config{Style: keyring.StyleTenure, Brand: "tn", Scheme: keyring.SchemeHMAC, Peppers: peppers}))
	p.do(domain.CreateOrg{ID: "org", OrgName: "client-1"})
	p.do(domain.CreateProject{ID: "prj", Org: "org", ProjectName: "first"})
	for i := range n {
		id := "key" + strconv.Itoa(i)
		p.ids, p.secrets = append(p.ids, domain.KeyID(id)), append(p.secrets, secretOf(id))
	}
	p.each(n, 256, func(i int) { p.createKey(string(p.ids[i]), domain.CreateKey{Project: "prj"}) })
	return p
}

func secretOf(id string) string { return "the-secret-of-" + id }

func (p *planed) createKey(id string, c domain.CreateKey) {
	c.Minted = domain.Minted{ID: domain.KeyID(id), Public: "pk-" + id, Verifier: p.ring.NewVerifier(secretOf(id))}
	p.do(c)
}

// each calls for every number, several at a time.
func (p *planed) each(n, callers int, call func(i int)) {
	var working sync.WaitGroup
	next := make(chan int)
	for range callers {
		working.Go(func() {
			for i := range next {
				call(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	working.Wait()
}

func (p *planed) close() {
	check(p.Close())
	p.server.Close()
}

func (p *planed) open(source keycache.Source) *keycache.Cache {
	return must(keycache.Open(context.Background(), keycache.Config{URL: p.URL, Key: adminKey, Source: source, MaxKeys: 200_000, Logger: silent}))
}

// keycaches are keys that are verified from memory, and how soon a change is heard of.
func keycaches(s sizes) []row {
	p := startPlaned(s.cached())
	defer p.close()
	cache := p.open(nil)
	defer cache.Close()
	ctx := context.Background()
	verify := func(c *keycache.Cache, i int) keycache.Answer {
		return must(c.Verify(ctx, "pk-"+string(p.ids[i]), p.secrets[i], "", netip.Addr{}))
	}
	cold := seconds(func() { p.each(len(p.ids), 256, func(i int) { verify(cache, i) }) })
	questions := cache.Stats().Questions
	if a := verify(cache, 0); !a.Valid {
		panic(fmt.Sprintf("%+v", a))
	}
	// The same pairs, made before.
	publics := make([]string, 1024)
	for i := range publics {
		publics[i] = "pk-" + string(p.ids[i%len(p.ids)])
	}
	secret := func(i int) string { return p.secrets[i%len(publics)%len(p.ids)] }
	hit := func(i int) {
		if a, err := cache.Verify(ctx, publics[i%len(publics)], secret(i), "", netip.Addr{}); err != nil || !a.Valid {
			panic(fmt.Sprint(a, err))
		}
	}
	var room [128]byte
	hash := func(i int) { sha256.Sum256(append(append(room[:2], publics[i%len(publics)]...), secret(i)...)) }
	times := inTurns(s, hit, hash)
	allocs := testing.AllocsPerRun(1000, func() { hit(7) })
	both := closedLoopFast(2, s.round, hit)
	rows := []row{
		within(row{What: "a key verified from memory, beyond one SHA-256", Figure: (times[0] - times[1]) / 1000, Unit: "us", Note: fmt.Sprintf("%.2f us in all, SHA-256 %.2f us", times[0]/1000, times[1]/1000)}, 1),
		within(row{What: "  allocations", Figure: allocs, Unit: "allocations"}, 0),
		{What: "  by two callers", Figure: both, Unit: "/s", Bar: ">= 1000000 /s", Missed: both < 1_000_000},
		{What: fmt.Sprintf("cold start of %s keys, 256 callers", number(float64(len(p.ids)))), Figure: float64(len(p.ids)) / cold, Unit: "keys/s",
			Note: fmt.Sprintf("%d questions, 16 at once", questions)},
	}
	check(p.ReadModels.Redis.Await(ctx, p.Engine.State().Position))
	n := max(4, min(200, len(p.ids)/4))
	var heard *service
	for i, by := range []struct {
		name, redisURL string
		bar            float64
	}{{"WatchInvalidations", "", 20}, {"Redis", p.server.URL(), 50}} {
		heard = startService(p.URL, by.redisURL)
		defer heard.close()
		p50, p99 := p.effects(heard, i*n, n)
		floor50, floor99 := p.floor(by.name, n)
		rows = append(rows,
			row{What: "from a command's answer to its effect in another process through " + by.name + ", p50", Figure: p50, Unit: "ms", Floor: floor50.ms, FloorIs: floor50.is, Ratio: p50 / floor50.ms},
			within(row{What: fmt.Sprintf("  p99 of %d", kinds*n), Figure: p99, Unit: "ms", Floor: floor99.ms, FloorIs: floor99.is}, by.bar))
	}
	return append(rows, p.suspended(heard)...)
}

// suspended is one invalidation for all keys of an organization, and how soon keys of others are revoked meanwhile.
func (p *planed) suspended(heard *service) []row {
	const n = 100
	p.do(domain.CreateOrg{ID: "beside", OrgName: "client-3"})
	p.do(domain.CreateProject{ID: "beside", Org: "beside", ProjectName: "beside"})
	for i := range 2 * n {
		p.createKey(fmt.Sprint("beside", i), domain.CreateKey{Project: "beside"})
	}
	revoked := func(from int) (slowest float64) {
		for i := from; i < from+n; i++ {
			id := fmt.Sprint("beside", i)
			slowest = max(slowest, heard.effect(secretOf(id), "reason", string(domain.KeyRevoked), func() { p.do(domain.RevokeKey{ID: domain.KeyID(id)}) }))
		}
		return slowest
	}
	alone := revoked(0)
	before := p.Engine.State()
	var command float64
	effect := heard.effect(p.secrets[len(p.secrets)-1], "reason", string(domain.OrgSuspended), func() {
		command = seconds(func() { p.do(domain.SuspendOrg{ID: "org"}) }) * 1000
	})
	told := invalidation.Changes(before, p.Engine.State())
	p.do(domain.ResumeOrg{ID: "org"})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if i%2 == 0 {
				p.do(domain.SuspendOrg{ID: "org"})
			} else {
				p.do(domain.ResumeOrg{ID: "org"})
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	meanwhile := revoked(n)
	close(stop)
	<-done
	return []row{
		within(row{
			What:   fmt.Sprintf("an organization with %s keys suspended, effect after the answer", number(float64(len(p.ids)))),
			Figure: effect, Unit: "ms", Note: fmt.Sprintf("command %.1f ms; %d invalidation of %d bytes", command, len(told), proto.Size(told[0].Invalidation)),
		}, 50),
		{
			What: fmt.Sprintf("  keys of another revoked while it is suspended and resumed, slowest of %d", n), Figure: meanwhile, Unit: "ms",
			Floor: alone, FloorIs: "while nothing else is", Ratio: meanwhile / alone,
		},
	}
}

// closedLoopFast is how often callers call in a second, where remembering each call would cost more than it.
func closedLoopFast(callers int, d time.Duration, call func(i int)) float64 {
	var working sync.WaitGroup
	counts := make([]int, callers)
	began := time.Now()
	for c := range callers {
		working.Go(func() {
			n := 0
			for time.Since(began) < d {
				for range 256 {
					call(n*callers + c)
					n++
				}
			}
			counts[c] = n
		})
	}
	working.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / time.Since(began).Seconds()
}

// kinds is of how many kinds the effects are.
const kinds = 5

// effects are revocations, transfers, suspensions, their end and changes of a role in turns: how long after each answer another process
// judges so.
func (p *planed) effects(by *service, from, n int) (p50, p99 float64) {
	var took []float64
	if _, ok := p.Engine.State().Org("other"); !ok {
		p.do(domain.CreateOrg{ID: "other", OrgName: "client-2"})
		p.do(domain.CreateOrg{ID: "people", OrgName: "client-4"})
		p.do(domain.RegisterUser{ID: "usr", Email: &eventv1.Sealed{}, EmailDigest: []byte("usr")})
		p.do(domain.GrantRole{Org: "people", User: "usr", Role: domain.Viewer})
		p.createKey("personal", domain.CreateKey{User: "usr"})
	}
	stays := p.secrets[len(p.secrets)-1]
	org, other := domain.OrgID("org"), domain.OrgID("other")
	for i := range n {
		took = append(took,
			by.effect(p.secrets[from+i], "reason", string(domain.KeyRevoked), func() { p.do(domain.RevokeKey{ID: p.ids[from+i]}) }),
			by.effect(stays, "org", string(other), func() { p.do(domain.TransferProject{ID: "prj", Target: other}) }),
			by.effect(stays, "reason", string(domain.OrgSuspended), func() { p.do(domain.SuspendOrg{ID: other}) }),
			by.effect(stays, "reason", keycache.Valid, func() { p.do(domain.ResumeOrg{ID: other}) }))
		role, what := domain.RoleMember, "holds"
		if i%2 == 1 {
			role, what = domain.Viewer, "lacks"
		}
		took = append(took, by.effect(secretOf("personal"), what, "prompts:CUD", func() { p.do(domain.GrantRole{Org: "people", User: "usr", Role: role}) }))
		org, other = other, org
	}
	if org != "org" {
		p.do(domain.TransferProject{ID: "prj", Target: "org"})
	}
	p.do(domain.GrantRole{Org: "people", User: "usr", Role: domain.Viewer})
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

type floored struct {
	ms float64
	is string
}

// floor is a bare message by the same way: published to JetStream and consumed, or XADD and XREAD.
func (p *planed) floor(name string, n int) (p50, p99 floored) {
	ctx := context.Background()
	var took []float64
	is := "XADD to XREAD"
	if name == "Redis" {
		client := must(rueidis.NewClient(rueidis.MustParseURL(p.server.URL())))
		defer client.Close()
		heard := make(chan struct{})
		go func() {
			for i := 0; i < kinds*n; i++ {
				if _, err := client.Do(ctx, client.B().Xread().Block(0).Streams().Key("beside").Id(strconv.Itoa(i)+"-0").Build()).AsXRead(); err != nil {
					panic(err)
				}
				heard <- struct{}{}
			}
		}()
		for i := range kinds * n {
			began := time.Now()
			check(client.Do(ctx, client.B().Xadd().Key("beside").Id(strconv.Itoa(i+1)+"-0").FieldValue().FieldValue("entry", `{"id":"org"}`).Build()).Error())
			<-heard
			took = append(took, time.Since(began).Seconds()*1000)
		}
	} else {
		is = "publish to consume"
		embedded := must(eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: tempDir(), Logger: silent}))
		defer func() { check(embedded.Close()) }()
		js := must(jetstream.New(embedded.Conn()))
		stream := must(js.CreateStream(ctx, jetstream.StreamConfig{Name: "BESIDE", Subjects: []string{"beside"}}))
		consumer := must(stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{}))
		messages := must(consumer.Messages())
		defer messages.Stop()
		for range kinds * n {
			began := time.Now()
			must(js.Publish(ctx, "beside", []byte(`{"id":"org"}`)))
			must(messages.Next())
			took = append(took, time.Since(began).Seconds()*1000)
		}
	}
	slices.Sort(took)
	return floored{took[len(took)/2], is}, floored{took[len(took)*99/100], is}
}
