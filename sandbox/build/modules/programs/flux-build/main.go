// Command flux-build builds folders as Flux's kustomize-controller does.
//
// Each line of standard input is a JSON object with the root of a repository's files, the path of a
// folder in it and a target namespace. The answer is one line with the objects, or with the error for
// which Flux would apply nothing. It changes the kustomization in the folder, as Flux does in its copy.
// Tests hold fleet's own build against these answers.
package main

import (
	"bytes"
	"fmt"
	"path/filepath"

	"fleet.example/sandbox/build/modules/programs/answers"
	"github.com/fluxcd/pkg/kustomize"
	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type question struct {
	Root      string `json:"root"`
	Path      string `json:"path"`
	Namespace string `json:"namespace"`
}

type answer struct {
	Objects []map[string]any `json:"objects"`
	Error   string           `json:"error"`
}

func main() {
	answers.Each(func(asked *question) answer {
		objects, err := build(asked)
		if err != nil {
			return answer{Objects: []map[string]any{}, Error: err.Error()}
		}
		return answer{Objects: objects}
	})
}

// build does what the controller does between fetching and applying, without remote bases, which
// the platform's flag --no-remote-bases refuses.
func build(asked *question) ([]map[string]any, error) {
	folder := filepath.Join(asked.Root, asked.Path)
	spec := map[string]any{"targetNamespace": asked.Namespace}
	sync := unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	if _, err := kustomize.NewGenerator(asked.Root, sync).WriteFile(folder); err != nil {
		return nil, err
	}
	built, err := kustomize.SecureBuild(asked.Root, folder, false)
	if err != nil {
		return nil, err
	}
	for _, resource := range built.Resources() {
		if resource.GetName() == "" || resource.GetKind() == "" || resource.GetApiVersion() == "" {
			return nil, fmt.Errorf("no apiVersion, kind or name: %s", resource.String())
		}
	}
	manifests, err := built.AsYaml()
	if err != nil {
		return nil, err
	}
	read, err := utils.ReadObjects(bytes.NewReader(manifests))
	if err != nil {
		return nil, err
	}
	objects := []map[string]any{}
	for _, object := range read {
		objects = append(objects, object.Object)
	}
	return objects, nil
}
