{{/* Names, labels, images, and the addresses of brokers. */}}

{{- define "flk.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "flk.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "flk.labels" -}}
{{ include "flk.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* name, namespace, labels and annotations of an object. Argument: root, name, and component, annotations, labels where there are. */}}
{{- define "flk.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "flk.labels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Argument: root, image {repository, tag, digest}. */}}
{{- define "flk.image" -}}
{{- $image := merge (dict) (default (dict) .image) -}}
{{- if $image.digest -}}
{{ .root.Values.image.repository }}@{{ $image.digest }}
{{- else -}}
{{ .root.Values.image.repository }}:{{ default .root.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "flk.serviceAccountName" -}}
{{- default (ternary (include "flk.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Every broker by its own Service, since a gateway and a worker keep a link to each, and a Service's address stays when the pod goes:
nobody dials an old address for as long as DNS answers are cached. Argument: root, port. */}}
{{- define "flk.brokers" -}}
{{- $root := .root -}}
{{- $name := include "flk.fullname" $root -}}
{{- $endpoints := list -}}
{{- range $i := until (int $root.Values.broker.replicas) -}}
{{- $host := printf "%s-broker-%d.%s.svc.%s" $name $i $root.Release.Namespace $root.Values.clusterDomain -}}
{{- $endpoints = append $endpoints (printf "tcp://%s:%d" $host (int $.port)) -}}
{{- end -}}
{{- join "," $endpoints -}}
{{- end -}}

{{- define "flk.signingSecret" -}}
{{- default (printf "%s-signing" (include "flk.fullname" .)) .Values.signing.existingSecret -}}
{{- end -}}

{{/* The Secret that helm test signs with; empty where there is none. */}}
{{- define "flk.testSecret" -}}
{{- if .Values.signing.testSecret -}}
{{- .Values.signing.testSecret -}}
{{- else if and (eq .Values.signing.alg "hmac") (not .Values.signing.keyring) -}}
{{- include "flk.signingSecret" . -}}
{{- end -}}
{{- end -}}

{{- define "flk.metricsSecret" -}}
{{- default (printf "%s-metrics" (include "flk.fullname" .)) .Values.metricsBasicAuth.existingSecret -}}
{{- end -}}

{{/* ipFamilyPolicy and ipFamilies of a Service, where they are given. Argument: the root. */}}
{{- define "flk.ipFamilies" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end -}}

{{/* Whether the store lives in the worker's pod. */}}
{{- define "flk.embedded" -}}
{{- if has .Values.env.dedupBackend (list "lmdb" "memory") }}true{{ end -}}
{{- end -}}

{{/* The least grace in seconds: preStop, what the program takes to drain, and a margin. Argument: root, role. */}}
{{- define "flk.leastGrace" -}}
{{- $values := index .root.Values .role -}}
{{- $drain := 5 -}}
{{- if eq .role "gateway" -}}
{{- $drain = div (add (int (default 5000 $values.settings.FLK_REQUEST_TIMEOUT_MS)) 999) 1000 -}}
{{- else if eq .role "worker" -}}
{{- $drain = add 5 (div (add (int (default 1000 $values.settings.FLK_STORE_TIMEOUT_MS)) 999) 1000) -}}
{{- end -}}
{{- add (int $values.preStopSeconds) $drain 15 -}}
{{- end -}}
