# What a developer runs. `make test` is what a change must pass; `make check` is everything .ci/run asks for.
.PHONY: test soak bench demo gen docs check image

# The log's tests wait for the disk with a deadline, so they run first and alone; what follows takes their result as it is. Those of whole
# servers come last, more at a time than there are processors, since they wait for much of theirs.
# tenure_next builds the version after this one, for what happens between two formats of the log.
# The race detector leaves out the SQL engine of the embedded read models: C turned into Go, which is not ours and takes most of the time.
race := -race -gcflags=modernc.org/sqlite/lib=-race=false

test:
	go test $(race) -timeout 20m ./eventstore
	go test $(race) -tags tenure_next -run Format ./eventstore ./internal/engine
	go test $(race) -timeout 20m $$(go list ./... | grep -v /tests$$)
	go test $(race) -timeout 20m -parallel 4 ./tests

# The same claims for much longer: hours.
soak:
	TENURE_SOAK=1 go test $(race) -count=1 -timeout 6h ./tests
	go test ./eventstore -run - -fuzz FuzzDecode -fuzztime 1m
	go test ./internal/backup -run - -fuzz FuzzRead -fuzztime 1m
	go test ./internal/engine -run - -fuzz FuzzToken -fuzztime 1m
	go test ./internal/keyring -run - -fuzz FuzzSecret -fuzztime 1m
	go test ./internal/rpc -run - -fuzz FuzzPageToken -fuzztime 1m
	go test ./internal/rpc -run - -fuzz FuzzNetworks -fuzztime 1m
	go test ./internal/tenancy -run - -fuzz FuzzParse -fuzztime 1m

# Every figure beside its floor, in one run of some minutes; quiet machines give steadier ones.
bench:
	go run ./tests/bench

demo:
	go run ./cmd/tenure demo

# What is generated is committed: code, the comments that the command line shows as help, and the page of its commands, which
# needs a program that builds. buf comes from npm (@bufbuild/buf), the plugins are tools of go.mod.
gen:
	buf generate
	buf build --path proto/tenure/v1 -o - | go run ./internal/cli/gen > internal/cli/comments.txt

docs:
	go run ./cmd/tenure docs > docs/CLI.md

# Everything but the tests: what is generated is current, formatted, vetted, linted, and breaks no client.
check:
	buf lint
	buf breaking proto --against proto/image.binpb
	./.ci/generated
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "gofmt wants: $$files"; exit 1; }
	go mod tidy -diff
	go vet ./...
	go tool staticcheck $$(go list ./... | grep -v /proto/gen/)

# The image that changes of the API and of stored events are compared with: renewed with a release, never to pass a check.
image:
	buf build proto -o proto/image.binpb
