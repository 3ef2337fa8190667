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

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/redissource"
	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keyring"
	"github.com/tenurehq/tenure/projections/redis/layout"
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
	ring := must(keyring.New(keyring.Config{Style: keyring.StyleTenure, Brand: "tn", Scheme: keyring.SchemeHMAC, Peppers: peppers}))
	p.do(domain.CreateOrg{ID: "org", OrgName: "client-1"})
	p.do(domain.CreateProject{ID: "prj", Org: "org", ProjectName: "first"})
	for i := range n {
		p.ids, p.secrets = append(p.ids, domain.KeyID("key"+strconv.Itoa(i))), append(p.secrets, "secret of key "+strconv.Itoa(i))
	}
	p.each(n, 256, func(i int) {
		p.do(domain.CreateKey{Project: "prj", Minted: domain.Minted{ID: p.ids[i], Public: "pk-" + string(p.ids[i]), Verifier: ring.NewVerifier(p.secrets[i])}})
	})
	return p
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
	names := layout.DefaultPrefix
	check(p.ReadModels.Redis.Await(ctx, p.Engine.State().Position))
	option := rueidis.MustParseURL(p.server.URL())
	throughRedis := p.open(redissource.New(option, names))
	defer throughRedis.Close()
	n := max(20, min(250, len(p.ids)/4))
	for i, by := range []struct {
		name string
		*keycache.Cache
		bar float64
	}{{"WatchInvalidations", cache, 20}, {"Redis", throughRedis, 50}} {
		p50, p99 := p.effects(by.Cache, i*n, n)
		floor50, floor99 := p.floor(by.name, n)
		rows = append(rows,
			row{What: "from a command's answer to its effect through " + by.name + ", p50", Figure: p50, Unit: "ms", Floor: floor50.ms, FloorIs: floor50.is, Ratio: p50 / floor50.ms},
			within(row{What: "  p99", Figure: p99, Unit: "ms", Floor: floor99.ms, FloorIs: floor99.is}, by.bar))
	}
	// One invalidation for all keys of an organization.
	began := time.Now()
	p.do(domain.SuspendOrg{ID: "org"})
	answered := time.Now()
	last := len(p.ids) - 1
	for verify(cache, last).Reason != string(domain.OrgSuspended) {
		time.Sleep(20 * time.Microsecond)
	}
	rows = append(rows, within(row{
		What: fmt.Sprintf("an organization with %s keys suspended, effect after the answer", number(float64(len(p.ids)))), Figure: time.Since(answered).Seconds() * 1000, Unit: "ms",
		Note: fmt.Sprintf("command %.1f ms", answered.Sub(began).Seconds()*1000),
	}, 20))
	return rows
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

// effects are revocations, transfers and suspensions in turns: how long after each answer the cache answers so.
func (p *planed) effects(c *keycache.Cache, from, n int) (p50, p99 float64) {
	ctx := context.Background()
	var took []float64
	until := func(secret string, fits func(keycache.Answer) bool) {
		answered := time.Now()
		for {
			if a, err := c.Verify(ctx, "", secret, "", netip.Addr{}); err == nil && fits(a) {
				break
			}
			// Server and cache are one process here: who spins keeps the other from its connections.
			time.Sleep(20 * time.Microsecond)
		}
		took = append(took, time.Since(answered).Seconds()*1000)
	}
	if _, ok := p.Engine.State().Org("other"); !ok {
		p.do(domain.CreateOrg{ID: "other", OrgName: "client-2"})
	}
	stays := p.secrets[len(p.secrets)-1]
	must(c.Verify(ctx, "", stays, "", netip.Addr{}))
	org, other := domain.OrgID("org"), domain.OrgID("other")
	for i := range n {
		secret := p.secrets[from+i]
		must(c.Verify(ctx, "", secret, "", netip.Addr{}))
		p.do(domain.RevokeKey{ID: p.ids[from+i]})
		until(secret, func(a keycache.Answer) bool { return a.Reason == string(domain.KeyRevoked) })
		p.do(domain.TransferProject{ID: "prj", Target: other})
		until(stays, func(a keycache.Answer) bool { return a.OrgID == string(other) })
		p.do(domain.SuspendOrg{ID: other})
		until(stays, func(a keycache.Answer) bool { return a.Reason == string(domain.OrgSuspended) })
		p.do(domain.ResumeOrg{ID: other})
		until(stays, func(a keycache.Answer) bool { return a.Valid })
		org, other = other, org
	}
	if org != "org" {
		p.do(domain.TransferProject{ID: "prj", Target: "org"})
	}
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
			for i := 0; i < 4*n; i++ {
				if _, err := client.Do(ctx, client.B().Xread().Block(0).Streams().Key("beside").Id(strconv.Itoa(i)+"-0").Build()).AsXRead(); err != nil {
					panic(err)
				}
				heard <- struct{}{}
			}
		}()
		for i := range 4 * n {
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
		for range 4 * n {
			began := time.Now()
			must(js.Publish(ctx, "beside", []byte(`{"id":"org"}`)))
			must(messages.Next())
			took = append(took, time.Since(began).Seconds()*1000)
		}
	}
	slices.Sort(took)
	return floored{took[len(took)/2], is}, floored{took[len(took)*99/100], is}
}
