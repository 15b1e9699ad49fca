{{/* What the pods of all roles have in common. */}}

{{/* One variable. Argument: name, value. */}}
{{- define "flk.env" -}}
- name: {{ .name }}
  value: {{ .value | toString | quote }}
{{- end -}}

{{/* Settings by name. Large numbers must not become floats: 1048576 would be 1.048576e+06. */}}
{{- define "flk.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ (kindIs "float64" $value | ternary (int64 $value) $value) | toString | quote }}
{{- end }}
{{- end -}}

{{/* Metadata of a pod. Argument: root, role, track. */}}
{{- define "flk.podMetadata" -}}
{{- $values := index .root.Values .role -}}
labels:
  {{- include "flk.selector" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .role }}
  {{- with .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .track }}
  track: {{ . }}
  {{- end }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  kubectl.kubernetes.io/default-container: {{ .role }}
  checksum/config: {{ toJson (list .root.Values.policy .root.Values.gateway.mtlsSidecar.enabled) | sha256sum }}
  {{- with merge (dict) $values.podAnnotations .root.Values.commonAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The first part of a pod's spec. Argument: root, role, track. */}}
{{- define "flk.podSpec" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .role -}}
serviceAccountName: {{ include "flk.serviceAccountName" $root }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ default (include "flk.leastGrace" .) (int $values.terminationGracePeriodSeconds) }}
securityContext:
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else }}
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ ternary $values.hostSpread "ScheduleAnyway" (eq $key "kubernetes.io/hostname") }}
    labelSelector:
      matchLabels:
        {{- include "flk.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $.role }}
        {{- with $.track }}
        track: {{ . }}
        {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The role's container but its environment, ports and mounts. Argument: root, role, port (of the pages), image. */}}
{{- define "flk.container" -}}
{{- $values := index .root.Values .role -}}
name: {{ .role }}
image: {{ include "flk.image" (dict "root" .root "image" .image) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [flk-{{ .role }}]
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
startupProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ max 1 (div (int $values.startupSeconds) 2) }}
livenessProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- if gt (int $values.preStopSeconds) 0 }}
lifecycle:
  preStop:
    {{- if semverCompare ">=1.30.0-0" .root.Capabilities.KubeVersion.Version }}
    sleep: {seconds: {{ int $values.preStopSeconds }}}
    {{- else }}
    exec: {command: [sleep, {{ int $values.preStopSeconds | quote }}]}
    {{- end }}
{{- end }}
{{- end -}}

{{/* Environment of all roles. Argument: root, role. */}}
{{- define "flk.commonEnv" -}}
{{- $values := .root.Values -}}
{{- $own := index $values .role -}}
{{- if $values.curve.enabled }}
{{ include "flk.env" (dict "name" "FLK_CURVE_KEY_FILE" "value" (printf "/etc/flk/curve/key/%s.key" .role)) }}
{{ include "flk.env" (dict "name" "FLK_CURVE_DIR" "value" "/etc/flk/curve") }}
{{- else }}
{{ include "flk.env" (dict "name" "FLK_PLAINTEXT" "value" "1") }}
{{- end }}
{{- if $values.metricsBasicAuth.enabled }}
{{ include "flk.env" (dict "name" "METRICS_USER_FILE" "value" "/etc/flk/metrics/METRICS_USER") }}
{{ include "flk.env" (dict "name" "METRICS_PASS_FILE" "value" "/etc/flk/metrics/METRICS_PASS") }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- with $own.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Mounts of all roles. Argument: root, role, peers (roles whose public keys it reads). */}}
{{- define "flk.commonMounts" -}}
{{- $values := .root.Values -}}
{{- if $values.curve.enabled }}
- {name: curve-key, mountPath: /etc/flk/curve/key, readOnly: true}
{{- range .peers }}
- {name: curve-{{ . }}s, mountPath: /etc/flk/curve/{{ . }}s, readOnly: true}
{{- end }}
{{- if eq .role "gateway" }}
{{- with $values.curve.agentsConfigMap }}
- {name: curve-agents, mountPath: /etc/flk/curve/agents, readOnly: true}
{{- end }}
{{- with $values.curve.adminsConfigMap }}
- {name: curve-admins, mountPath: /etc/flk/curve/admins, readOnly: true}
{{- end }}
{{- end }}
{{- end }}
{{- if $values.metricsBasicAuth.enabled }}
- {name: metrics, mountPath: /etc/flk/metrics, readOnly: true}
{{- end }}
{{- with (index $values .role).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Volumes of all roles; as flk.commonMounts. Secrets are for the pod's group alone: flk refuses a key that all may read. */}}
{{- define "flk.commonVolumes" -}}
{{- $values := .root.Values -}}
{{- if $values.curve.enabled }}
- name: curve-key
  secret:
    secretName: {{ $values.curve.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .role }}.key, path: {{ .role }}.key}]
{{- range .peers }}
- name: curve-{{ . }}s
  secret:
    secretName: {{ $values.curve.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ . }}.pub, path: {{ . }}.pub}]
{{- end }}
{{- if eq .role "gateway" }}
{{- with $values.curve.agentsConfigMap }}
- {name: curve-agents, configMap: {name: {{ . }}}}
{{- end }}
{{- with $values.curve.adminsConfigMap }}
- {name: curve-admins, configMap: {name: {{ . }}}}
{{- end }}
{{- end }}
{{- end }}
{{- if $values.metricsBasicAuth.enabled }}
- name: metrics
  secret: {secretName: {{ include "flk.metricsSecret" .root }}, defaultMode: 0440}
{{- end }}
{{- with (index $values .role).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
