// Package check reads the manifests into Kubernetes' own types. It is a module
// of its own, so that fedmq does not depend on Kubernetes.
package check

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// objects decodes a file strictly: a key that Kubernetes does not know, or has
// elsewhere, is an error.
func objects(t *testing.T, path string) (out []any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(b), "\n---\n") {
		var is metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &is); err != nil {
			t.Fatal(err)
		}
		var v any
		switch is.APIVersion + " " + is.Kind {
		case "v1 Service":
			v = new(corev1.Service)
		case "v1 ConfigMap":
			v = new(corev1.ConfigMap)
		case "apps/v1 StatefulSet":
			v = new(appsv1.StatefulSet)
		default:
			t.Fatalf("%s: %q", path, is)
		}
		if err := yaml.UnmarshalStrict([]byte(doc), v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, v)
	}
	return out
}

func TestManifests(t *testing.T) {
	files, err := filepath.Glob("../*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			configs, services := map[string]bool{}, map[string]*corev1.Service{}
			var set *appsv1.StatefulSet
			for _, o := range objects(t, path) {
				switch o := o.(type) {
				case *corev1.ConfigMap:
					configs[o.Name] = true
				case *corev1.Service:
					services[o.Name] = o
				case *appsv1.StatefulSet:
					set = o
				}
			}
			if set == nil {
				t.Fatal("no StatefulSet")
			}
			checkSet(t, set, services[set.Spec.ServiceName], configs)
		})
	}
}

func checkSet(t *testing.T, set *appsv1.StatefulSet, svc *corev1.Service, configs map[string]bool) {
	t.Helper()
	labels := set.Spec.Template.Labels
	if !maps.Equal(set.Spec.Selector.MatchLabels, labels) {
		t.Errorf("the selector %v is not the pod's labels %v", set.Spec.Selector.MatchLabels, labels)
	}
	if svc == nil || !maps.Equal(svc.Spec.Selector, labels) {
		t.Errorf("service %s does not select the pod", set.Spec.ServiceName)
	}
	if set.Spec.Replicas == nil || *set.Spec.Replicas != 1 {
		t.Error("more than one process for a data directory")
	}
	pod := set.Spec.Template.Spec
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod may run as root, or holds a token")
	}
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && !configs[v.ConfigMap.Name] {
			t.Errorf("no ConfigMap %s", v.ConfigMap.Name)
		}
	}
	for _, c := range set.Spec.VolumeClaimTemplates {
		volumes[c.Name] = true
	}
	for _, c := range pod.Containers {
		checkContainer(t, c, volumes)
		for _, p := range svc.Spec.Ports {
			if !hasPort(c, p.TargetPort.StrVal) {
				t.Errorf("the service's port %s is none of the container's", p.TargetPort.StrVal)
			}
		}
	}
}

func checkContainer(t *testing.T, c corev1.Container, volumes map[string]bool) {
	t.Helper()
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("no volume %s", m.Name)
		}
	}
	for path, p := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != path || !hasPort(c, p.HTTPGet.Port.StrVal) {
			t.Errorf("no probe of %s", path)
		}
	}
	s := c.SecurityContext
	if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || len(s.Capabilities.Drop) != 1 {
		t.Error("the container may do more than it has to")
	}
	if c.Resources.Limits.Memory().IsZero() {
		t.Error("no limit of memory")
	}
}

func hasPort(c corev1.Container, name string) bool {
	for _, p := range c.Ports {
		if p.Name == name {
			return true
		}
	}
	return false
}
