// Command quota-usage counts objects in quotas as Kubernetes does.
//
// Each line of standard input is a JSON object with an object, the LimitRanges of its namespace and
// the names that a quota counts. The answer is one line with the amounts that the object uses, and the
// reasons for which the admission of Kubernetes refuses it, whatever the quota's size. Tests hold
// fleet's own counting against these answers.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install" // It registers the kinds of the core group.
	conversion "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	evaluators "k8s.io/kubernetes/pkg/quota/v1/evaluator/core"
	"k8s.io/kubernetes/plugin/pkg/admission/limitranger"
)

type question struct {
	Object   json.RawMessage     `json:"object"`
	Resource string              `json:"resource"`
	Limits   []corev1.LimitRange `json:"limits"`
	Counted  []string            `json:"counted"`
}

type answer struct {
	Usage   map[string]string `json:"usage"`
	Refused []string          `json:"refused"`
}

func main() {
	log.SetFlags(0)
	byResource := known()
	questions := json.NewDecoder(bufio.NewReader(os.Stdin))
	answers := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(answers)
	for questions.More() {
		var asked question
		if err := questions.Decode(&asked); err != nil {
			log.Fatal(err)
		}
		if err := encoder.Encode(count(byResource, &asked)); err != nil {
			log.Fatal(err)
		}
	}
	if err := answers.Flush(); err != nil {
		log.Fatal(err)
	}
}

// known returns the evaluators of the kinds for which a quota counts more than their number.
func known() map[schema.GroupResource]quota.Evaluator {
	// An evaluator of resource claims would need a cluster.
	isCounted := func(resource schema.GroupVersionResource) bool { return resource.Resource != "resourceclaims" }
	found, err := evaluators.NewEvaluators(nil, nil, isCounted)
	if err != nil {
		log.Fatal(err)
	}
	byResource := map[schema.GroupResource]quota.Evaluator{}
	for _, evaluator := range found {
		byResource[evaluator.GroupResource()] = evaluator
	}
	return byResource
}

func count(byResource map[schema.GroupResource]quota.Evaluator, asked *question) answer {
	found := answer{Usage: map[string]string{}, Refused: []string{}}
	resource := schema.ParseGroupResource(asked.Resource)
	evaluator := byResource[resource]
	var object runtime.Object = &unstructured.Unstructured{}
	if evaluator == nil {
		evaluator = generic.NewObjectCountEvaluator(resource, nil, "")
	} else {
		decoded, _, err := legacyscheme.Codecs.UniversalDeserializer().Decode(asked.Object, nil, nil)
		if err != nil {
			found.Refused = append(found.Refused, err.Error())
			return found
		}
		legacyscheme.Scheme.Default(decoded)
		object = decoded
	}
	if pod, isPod := object.(*corev1.Pod); isPod {
		admitted := &core.Pod{}
		if err := conversion.Convert_v1_Pod_To_core_Pod(pod, admitted, nil); err != nil {
			log.Fatal(err)
		}
		found.Refused = append(found.Refused, applyLimits(admitted, asked.Limits)...)
		object = admitted
	}
	counted := make([]corev1.ResourceName, 0, len(asked.Counted))
	for _, name := range asked.Counted {
		counted = append(counted, corev1.ResourceName(name))
	}
	if err := evaluator.Constraints(counted, object); err != nil {
		found.Refused = append(found.Refused, err.Error())
	}
	used, err := evaluator.Usage(object)
	if err != nil {
		log.Fatal(err)
	}
	for name, amount := range used {
		found.Usage[string(name)] = amount.String()
	}
	return found
}

// applyLimits sets what a pod leaves open, as LimitRanges say, and returns what they and the
// validation of Kubernetes refuse about its resources.
func applyLimits(pod *core.Pod, limits []corev1.LimitRange) []string {
	refused := []string{}
	for i := range limits {
		conversion.SetObjectDefaults_LimitRange(&limits[i])
		if err := limitranger.PodMutateLimitFunc(&limits[i], pod); err != nil {
			log.Fatal(err)
		}
	}
	for i := range limits {
		if err := limitranger.PodValidateLimitFunc(&limits[i], pod); err != nil {
			refused = append(refused, err.Error())
		}
	}
	options := validation.PodValidationOptions{PodLevelResourcesEnabled: true}
	for _, problem := range validation.ValidatePodSpec(&pod.Spec, &pod.ObjectMeta, field.NewPath("spec"), options) {
		if strings.Contains(problem.Field, ".resources") {
			refused = append(refused, problem.Error())
		}
	}
	return refused
}
