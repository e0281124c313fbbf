{{- define "nodevitals.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- /* What selects this release's pods, among others of the same chart too. */ -}}
{{- define "nodevitals.selector" -}}
app.kubernetes.io/name: nodevitals
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nodevitals.labels" -}}
{{ include "nodevitals.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "nodevitals.metadata" -}}
name: {{ include "nodevitals.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "nodevitals.labels" . | nindent 2 }}
{{- end }}

{{- define "nodevitals.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}
