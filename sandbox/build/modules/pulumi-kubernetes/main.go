// Command pulumi-resource-kubernetes serves the official Kubernetes provider to the Pulumi engine.
//
// No Go module carries the release archive of the plugin; this main serves the provider of its module. The
// engine asks a provider for its schema only to generate code, so the schema holds no more than the name.
package main

import (
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

func main() {
	provider.Serve("kubernetes", version.Version, []byte(`{"name": "kubernetes"}`), nil)
}
