{{/* The store's part of a worker's environment, mounts and volumes; also of the job that migrates. */}}
{{- define "flk.storeEnv" -}}
{{- include "flk.env" (dict "name" "DEDUP_BACKEND" "value" .Values.env.dedupBackend) }}
{{- if and (eq .Values.env.dedupBackend "redis") (not (has "REDIS_ADDR" .Values.store.secretKeys)) }}
{{ include "flk.env" (dict "name" "REDIS_ADDR" "value" .Values.env.redisAddr) }}
{{- end }}
{{- if and (eq .Values.env.dedupBackend "postgres") (eq .Values.store.migrate "auto") }}
{{ include "flk.env" (dict "name" "FLK_PG_AUTO_MIGRATE" "value" "1") }}
{{- end }}
{{- range .Values.store.secretKeys }}
{{ include "flk.env" (dict "name" (printf "%s_FILE" .) "value" (printf "/etc/flk/store/%s" .)) }}
{{- end }}
{{- end -}}

{{- define "flk.storeMounts" -}}
{{- if .Values.store.secretKeys }}
- {name: store-secret, mountPath: /etc/flk/store, readOnly: true}
{{- end }}
{{- end -}}

{{- define "flk.storeVolumes" -}}
{{- if .Values.store.secretKeys }}
- name: store-secret
  secret: {secretName: {{ .Values.store.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "flk.signingEnv" -}}
{{- if .Values.signing.enabled }}
{{ include "flk.env" (dict "name" "PCS_SIGN_ALG" "value" .Values.signing.alg) }}
{{- if .Values.signing.keyring }}
{{ include "flk.env" (dict "name" "PCS_KEYRING_FILE" "value" "/etc/flk/signing/keyring.json") }}
{{- else if eq .Values.signing.alg "hmac" }}
{{ include "flk.env" (dict "name" "PCS_HMAC_KEY_FILE" "value" "/etc/flk/signing/PCS_HMAC_KEY") }}
{{- if .Values.signing.rotation }}
{{ include "flk.env" (dict "name" "PCS_HMAC_KEYS_FILE" "value" "/etc/flk/signing/PCS_HMAC_KEYS") }}
{{- end }}
{{- else }}
{{ include "flk.env" (dict "name" "PCS_ED25519_PUB_B64_FILE" "value" "/etc/flk/signing/PCS_ED25519_PUB_B64") }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether /data must outlive the pod. */}}
{{- define "flk.workerClaim" -}}
{{- if and (include "flk.embedded" .) .Values.worker.persistence.enabled (not .Values.store.allowPerPod) }}true{{ end -}}
{{- end -}}

{{/* A track of workers. Argument: root, track, name, replicas, image, settings. */}}
{{- define "flk.workers" -}}
{{- $root := .root -}}
{{- $worker := .root.Values.worker -}}
{{- $pod := dict "root" .root "role" "worker" "track" .track "peers" (list "broker") -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "flk.metadata" (dict "root" .root "name" .name "component" "worker" "labels" (dict "track" .track)) | nindent 2 }}
spec:
  replicas: {{ .replicas }}
  {{- if include "flk.workerClaim" .root }}
  strategy: {type: Recreate}
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: {{ $worker.maxSurge }}, maxUnavailable: {{ $worker.maxUnavailable }}}
  {{- end }}
  selector:
    matchLabels:
      {{- include "flk.selector" .root | nindent 6 }}
      app.kubernetes.io/component: worker
      track: {{ .track }}
  template:
    metadata:
      {{- include "flk.podMetadata" $pod | nindent 6 }}
    spec:
      {{- include "flk.podSpec" $pod | nindent 6 }}
      containers:
        - {{- include "flk.container" (dict "root" .root "role" "worker" "port" "admin" "image" .image) | nindent 10 }}
          ports:
            - {name: admin, containerPort: 8082}
          env:
            {{- include "flk.env" (dict "name" "FLK_BACKENDS" "value" (include "flk.brokers" (dict "root" .root "port" 5556))) | nindent 12 }}
            {{- include "flk.env" (dict "name" "FLK_ADMIN_LISTEN" "value" "*:8082") | nindent 12 }}
            {{- include "flk.env" (dict "name" "FLK_DATA_DIR" "value" "/data") | nindent 12 }}
            {{- include "flk.env" (dict "name" "FLK_WORKER_THREADS" "value" $worker.threads) | nindent 12 }}
            {{- include "flk.storeEnv" .root | nindent 12 }}
            {{- include "flk.signingEnv" .root | trim | nindent 12 }}
            {{- if .root.Values.policy }}
            {{- include "flk.env" (dict "name" "FLK_POLICY_FILE" "value" "/etc/flk/policy/policy.json") | nindent 12 }}
            {{- end }}
            {{- include "flk.settings" .settings | trim | nindent 12 }}
            {{- include "flk.commonEnv" $pod | trim | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: /data}
            {{- include "flk.storeMounts" .root | trim | nindent 12 }}
            {{- if .root.Values.signing.enabled }}
            - {name: signing, mountPath: /etc/flk/signing, readOnly: true}
            {{- end }}
            {{- if .root.Values.policy }}
            - {name: policy, mountPath: /etc/flk/policy, readOnly: true}
            {{- end }}
            {{- include "flk.commonMounts" $pod | trim | nindent 12 }}
      volumes:
        {{- if include "flk.workerClaim" .root }}
        - name: data
          persistentVolumeClaim:
            claimName: {{ default (printf "%s-store" (include "flk.fullname" .root)) $worker.persistence.existingClaim }}
        {{- else }}
        - {name: data, emptyDir: {}}
        {{- end }}
        {{- include "flk.storeVolumes" .root | trim | nindent 8 }}
        {{- if .root.Values.signing.enabled }}
        - name: signing
          secret: {secretName: {{ include "flk.signingSecret" .root }}, defaultMode: 0440}
        {{- end }}
        {{- if .root.Values.policy }}
        - {name: policy, configMap: {name: {{ include "flk.fullname" .root }}-policy}}
        {{- end }}
        {{- include "flk.commonVolumes" $pod | trim | nindent 8 }}
{{- end -}}
