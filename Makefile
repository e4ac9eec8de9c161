# go test ./... is all a newcomer needs; make adds what CI runs.

# Tools are built once, into the cache of the user.
TOOLS    = $${XDG_CACHE_HOME:-$$HOME/.cache}/tandem/bin
GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.1
HELM     = helm.sh/helm/v4/cmd/helm@v4.3.1

.PHONY: all lint api test tools bench fuzz image

all: lint test

lint: tools ## What CI demands of the text.
	$(TOOLS)/golangci-lint run ./...
	go mod tidy -diff
	go doc -short ./cluster | diff -u cluster/api.txt -

api: ## Accept a change of the public surface.
	go doc -short ./cluster > cluster/api.txt

test: ## Every test, under the race detector, in random order.
	go test -race -shuffle=on ./...

tools: ## What lint and the tests of the chart need.
	test -x $(TOOLS)/golangci-lint || GOBIN=$(TOOLS) go install $(GOLANGCI)
	test -x $(TOOLS)/helm || GOBIN=$(TOOLS) go install $(HELM)

bench: ## Beside raw nats.go, in one run; quote the ratios.
	go test -run '^$$' -bench . -count 5 ./cluster ./transport

fuzz: ## Each fuzz target for FUZZTIME.
	@for pkg in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
			go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$pkg || exit 1; \
		done; \
	done

image: ## Needs Docker.
	docker build -t tandem:0.1.0 .
