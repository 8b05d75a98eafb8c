// Command flux-substitution replaces variables as Flux's kustomize-controller does.
//
// Each line of standard input is a JSON object with an object, the spec of a Flux Kustomization and
// the data of the ConfigMaps that it may name. The answer is one line with the object that Flux would
// apply, or with the error for which it would apply nothing. Tests hold fleet's own substitution
// against these answers.
package main

import (
	"bytes"
	"context"
	"fmt"

	"fleet.example/sandbox/build/modules/programs/answers"
	"github.com/fluxcd/pkg/kustomize"
	"github.com/fluxcd/pkg/ssa/utils"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
)

type question struct {
	Object     map[string]any               `json:"object"`
	Spec       map[string]any               `json:"spec"`
	ConfigMaps map[string]map[string]string `json:"configMaps"`
}

type answer struct {
	Object map[string]any `json:"object"`
	Error  string         `json:"error"`
}

// configMaps is a cluster that has nothing else.
type configMaps struct {
	client.Client
	data map[string]map[string]string
}

func (c configMaps) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	data, found := c.data[key.Name]
	configMap, isConfigMap := obj.(*corev1.ConfigMap)
	if !found || !isConfigMap {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, key.Name)
	}
	configMap.Data = data
	return nil
}

func main() {
	answers.Each(func(asked *question) answer {
		object, err := substitute(asked)
		if err != nil {
			return answer{Error: err.Error()}
		}
		return answer{Object: object}
	})
}

// substitute does what the controller does between building and applying. A panic is an error there
// too.
func substitute(asked *question) (object map[string]any, err error) {
	defer func() {
		if found := recover(); found != nil {
			err = fmt.Errorf("panic: %v", found)
		}
	}()
	factory := provider.NewDefaultDepProvider().GetResourceFactory()
	built, err := factory.FromMap(asked.Object)
	if err != nil {
		return nil, err
	}
	all := resmap.New()
	if err := all.Append(built); err != nil {
		return nil, err
	}
	owner := unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "apps", "namespace": "flux-system"},
		"spec":     asked.Spec,
	}}
	always, _, _ := unstructured.NestedString(asked.Spec, "postBuild", "substituteStrategy")
	changed, err := kustomize.SubstituteVariables(
		context.Background(), configMaps{data: asked.ConfigMaps}, owner, built,
		kustomize.SubstituteWithStrict(true), kustomize.SubstituteWithAlways(always == "Always"),
	)
	if err != nil {
		return nil, err
	}
	if changed != nil {
		if _, err := all.Replace(built); err != nil {
			return nil, err
		}
	}
	manifests, err := all.AsYaml()
	if err != nil {
		return nil, err
	}
	read, err := utils.ReadObjects(bytes.NewReader(manifests))
	if err != nil {
		return nil, err
	}
	if len(read) != 1 {
		return nil, fmt.Errorf("%d objects", len(read))
	}
	return read[0].Object, nil
}
