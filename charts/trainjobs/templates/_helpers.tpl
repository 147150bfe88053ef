{{/* Names are fixed: CRDs, policies and the role of training pods are the cluster's, so there is one release. */}}

{{- define "trainjobs.selector" -}}
app.kubernetes.io/name: trainjobs
app.kubernetes.io/component: operator
{{- end }}

{{/* Labels of every object. CRDs have none of them: so `kubectl delete --selector` leaves CRDs and TrainJobs. */}}
{{- define "trainjobs.labels" -}}
{{ include "trainjobs.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What stays when the release goes. Another label, so that `kubectl delete --selector` leaves it as Helm does. */}}
{{- define "trainjobs.keptLabels" -}}
{{ include "trainjobs.labels" . | replace "app.kubernetes.io/name: trainjobs\n" "app.kubernetes.io/name: trainjobs-runner\n" }}
{{- end }}
{{- define "trainjobs.kept" -}}
helm.sh/resource-policy: keep
{{- end }}

{{- define "trainjobs.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* What the restricted Pod Security Standard asks of a pod, and of a container. */}}
{{- define "trainjobs.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "trainjobs.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where a pod of the chart runs. */}}
{{- define "trainjobs.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* What the operator does in the namespaces that it looks after. A test compares this with what it asks for. */}}
{{- define "trainjobs.operatorRules" -}}
- apiGroups: [trainjobs.dev]
  resources: [trainjobs, trainsweeps]
  verbs: [get, list, watch, delete]  # get: whole, when its Job is made; delete: ttlSecondsAfterFinished
- apiGroups: [trainjobs.dev]
  resources: [trainjobs/status, trainsweeps/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, create]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]  # it reads none
- apiGroups: [""]
  resources: [pods]
  verbs: [list]  # why they do not run
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings]
  verbs: [get, create, patch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [clusterroles]
  resourceNames: [trainjobs-runner]
  verbs: [bind]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create]  # list: why pods do not run
{{- end }}

{{/* `helm test`: not the operator's selector, or its budget and network policy would be for the check too. */}}
{{- define "trainjobs.checkLabels" -}}
app.kubernetes.io/name: trainjobs-check
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- define "trainjobs.checkHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
