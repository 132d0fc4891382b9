{{- define "grader.name" -}}
{{- printf "%s-%s" .root.Release.Name .component | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select pods: they may never change. `component` is api, migrations, or worker-<name>. */}}
{{- define "grader.selector" -}}
app.kubernetes.io/name: notebook-grader
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "grader.labels" -}}
{{ include "grader.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "grader.image" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{/* What every pod has: no token, no variables of other services (GRADER_... could be one), no root. */}}
{{- define "grader.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "grader.user" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
{{- end -}}

{{- define "grader.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Variables: the database's of one secret, and if `service` the others that API and workers share. */}}
{{- define "grader.environment" -}}
env:
  - name: GRADER_DATABASE
    valueFrom: { secretKeyRef: { name: {{ .secret }}, key: GRADER_DATABASE } }
  {{- range $name, $value := .root.Values.settings }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- if .service }}
  - name: GRADER_BROKER
    valueFrom: { secretKeyRef: { name: {{ .secret }}, key: GRADER_BROKER } }
  {{- end }}
  {{- range $name, $value := .more }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- if and .service .root.Values.secrets.blobs }}
envFrom:
  - secretRef: { name: {{ .root.Values.secrets.blobs }} }
{{- end }}
{{- end -}}

{{/* A rule of egress to the peers and the port of one entry of `network`. */}}
{{- define "grader.egress" -}}
- to: {{- toYaml .to | nindent 4 }}
  ports: [{ protocol: TCP, port: {{ .port }} }]
{{- end -}}
