// Command pulumi-resource-github serves the Terraform provider for GitHub to the Pulumi engine.
//
// It is the real provider behind Pulumi's own bridge; only the release archive of the official plugin,
// which no Go module carries, is replaced by this main.
package main

import (
	"github.com/integrations/terraform-provider-github/v6/github"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
)

// version is the version of the official plugin that the pinned Python SDK asks for.
const version = "6.15.0"

func main() {
	info := tfbridge.ProviderInfo{
		P:            shimv2.NewProvider(github.NewProvider(version, "")()),
		Name:         "github",
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
	}
	info.MustComputeTokens(tokens.SingleModule("github_", "index", tokens.MakeStandard("github")))
	tfbridge.Main("github", version, info, []byte("{}"))
}
