# One-word targets. `make demo` shows the server at work, `make test` checks it.
GO          ?= go
VERSION     ?= 0.1.0
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK ?= golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME    ?= 10s
CHROMIUM    ?= chromium
ROUNDS      ?= 100
LDFLAGS      = -s -w -X main.version=$(VERSION)

.PHONY: demo test build race lint fmt vuln fuzz bench cover e2e chromium rounds check clean

demo: build ## a parent application logs in, runs two turns and answers a refresh
	$(GO) run ./examples/parent -server bin/app-server

test: ## unit tests and scripted sessions, under the race detector
	$(GO) test -race -timeout 30m $(TESTFLAGS) ./...

build: ## one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/app-server ./cmd/app-server

race: test

e2e: ## the scripted sessions alone
	$(GO) test -race -run 'TestScripts' ./cmd/app-server

chromium: ## the sign-in pages in a real browser, screenshots in bin/screens
	$(GO) test -run 'TestChromium' -v ./cmd/app-server -args -chromium $(CHROMIUM) -screenshots $(CURDIR)/bin/screens

rounds: ## two servers on one home, ROUNDS times
	$(GO) test -run 'TestTwoServersOneHome' -v ./cmd/app-server -args -rounds $(ROUNDS)

fmt: ## fails where a file is not formatted
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

lint: fmt
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

vuln: ## needs the network
	$(GO) run $(GOVULNCHECK) ./...

# Minimising what is merely interesting would use up all of a short run. A number
# of runs (3000x) instead of a time keeps a slow run from ending at a deadline.
fuzz: ## every fuzz test for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg || exit 1; \
	  done; done

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

cover:
	$(GO) test -coverprofile cover.out ./... && $(GO) tool cover -func cover.out | tail -n 1

check: lint test
	$(MAKE) fuzz FUZZTIME=3000x

clean:
	rm -rf bin cover.out
