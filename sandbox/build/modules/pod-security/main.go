// Command pod-security judges pods by the Pod Security Standards as Kubernetes does.
//
// Each line of standard input is a JSON object with a level and a pod. The answer is one line with
// the reasons for which the admission of Kubernetes refuses the pod, and the fields that its
// validation refuses because of the pod's operating system. Tests hold fleet's own checks against these answers.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/core"
	conversion "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type question struct {
	Level api.Level  `json:"level"`
	Pod   corev1.Pod `json:"pod"`
}

type answer struct {
	Reasons []string `json:"reasons"`
	System  []string `json:"system"`
}

func main() {
	log.SetFlags(0)
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		log.Fatal(err)
	}
	questions := json.NewDecoder(bufio.NewReader(os.Stdin))
	answers := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(answers)
	for questions.More() {
		var asked question
		if err := questions.Decode(&asked); err != nil {
			log.Fatal(err)
		}
		if err := encoder.Encode(judge(evaluator, &asked)); err != nil {
			log.Fatal(err)
		}
	}
	if err := answers.Flush(); err != nil {
		log.Fatal(err)
	}
}

// judge treats a pod as the API server does: it sets the defaults before anything is checked.
func judge(evaluator policy.Evaluator, asked *question) answer {
	pod := &asked.Pod
	conversion.SetObjectDefaults_Pod(pod)
	level := api.LevelVersion{Level: asked.Level, Version: api.LatestVersion()}
	found := answer{Reasons: []string{}, System: []string{}}
	for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			found.Reasons = append(found.Reasons, result.ForbiddenReason+": "+result.ForbiddenDetail)
		}
	}
	internal := &core.Pod{}
	if err := conversion.Convert_v1_Pod_To_core_Pod(pod, internal, nil); err != nil {
		log.Fatal(err)
	}
	options := validation.PodValidationOptions{PodLevelResourcesEnabled: true}
	for _, problem := range validation.ValidatePodSpec(&internal.Spec, &pod.ObjectMeta, field.NewPath("spec"), options) {
		if strings.HasSuffix(problem.Detail, "for a windows pod") || strings.HasSuffix(problem.Detail, "for a linux pod") {
			found.System = append(found.System, problem.Field)
		}
	}
	return found
}
