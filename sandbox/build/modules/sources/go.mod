// Sources that the sandbox reads and never builds: manifests, charts, CRDs, API definitions.
module fleet.example/sandbox/build/modules/sources

go 1.26.0

require (
	github.com/fluxcd/flux2/v2 v2.9.2
	github.com/fluxcd/helm-controller v1.6.2
	github.com/fluxcd/kustomize-controller v1.9.3
	github.com/fluxcd/notification-controller v1.9.2
	github.com/fluxcd/source-controller v1.9.3
	github.com/kyverno/api v0.0.1-alpha.3.0.20260723090831-fb2785727f98
	github.com/kyverno/kyverno v1.19.1
	k8s.io/kubernetes v1.36.2
	sigs.k8s.io/gateway-api v1.6.3
	sigs.k8s.io/kwok v0.8.0
)
