{{/* Combinations that a schema cannot refuse. Each says what to change. */}}
{{- define "flk.checks" -}}
{{- $values := .Values -}}
{{- $many := or (ne $values.autoscaling.mode "none") (gt (int $values.worker.replicas) 1) $values.canary.enabled -}}
{{- if and (include "flk.embedded" .) $many (not $values.store.allowPerPod) -}}
{{- fail (printf "env.dedupBackend=%s is one pod's own, and there may be several workers (worker.replicas, autoscaling, canary): set env.dedupBackend to redis or postgres, or store.allowPerPod=true" $values.env.dedupBackend) -}}
{{- end -}}
{{- if and (eq $values.env.dedupBackend "postgres") (not (has "POSTGRES_CONN" $values.store.secretKeys)) -}}
{{- fail "env.dedupBackend=postgres needs store.existingSecret, and POSTGRES_CONN in store.secretKeys" -}}
{{- end -}}
{{- if and $values.store.secretKeys (not $values.store.existingSecret) -}}
{{- fail "store.secretKeys names keys of a Secret: set store.existingSecret" -}}
{{- end -}}
{{- if and $values.signing.enabled (eq $values.signing.alg "ed25519") (not $values.signing.existingSecret) -}}
{{- fail "signing.alg=ed25519 needs signing.existingSecret with PCS_ED25519_PUB_B64" -}}
{{- end -}}
{{- if and $values.signing.keyring (not $values.signing.existingSecret) -}}
{{- fail "signing.keyring needs signing.existingSecret with keyring.json" -}}
{{- end -}}
{{- if and $values.signing.rotation (not $values.signing.existingSecret) -}}
{{- fail "signing.rotation needs signing.existingSecret with PCS_HMAC_KEYS" -}}
{{- end -}}
{{- if and $values.curve.enabled (not $values.curve.existingSecret) -}}
{{- fail "curve.enabled needs curve.existingSecret: make keys with flk keygen, see the chart's README" -}}
{{- end -}}
{{- if ne $values.autoscaling.mode "none" -}}
{{- if gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling.minReplicas is above autoscaling.maxReplicas" -}}
{{- end -}}
{{- if not (or $values.autoscaling.cpu.enabled $values.autoscaling.queueDepth.enabled) -}}
{{- fail "autoscaling needs autoscaling.cpu.enabled or autoscaling.queueDepth.enabled" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $values.autoscaling.mode "keda") $values.autoscaling.queueDepth.enabled (not $values.autoscaling.keda.prometheusAddress) -}}
{{- fail "autoscaling.mode=keda asks Prometheus for the queue: set autoscaling.keda.prometheusAddress" -}}
{{- end -}}
{{- if and $values.canary.gate.enabled (not $values.canary.gate.prometheusAddress) -}}
{{- fail "canary.gate.enabled needs canary.gate.prometheusAddress" -}}
{{- end -}}
{{- if and $values.canary.gate.enabled (not $values.canary.enabled) -}}
{{- fail "canary.gate.enabled without canary.enabled: there is nothing to watch" -}}
{{- end -}}
{{- if $values.ingress.enabled -}}
{{- if not $values.ingress.hosts -}}
{{- fail "ingress.enabled needs ingress.hosts" -}}
{{- end -}}
{{- if and $values.ingress.mtls.enabled (not $values.ingress.tls.enabled) -}}
{{- fail "ingress.mtls.enabled needs ingress.tls.enabled" -}}
{{- end -}}
{{- if and $values.ingress.mtls.enabled (eq $values.ingress.className "nginx") (not $values.ingress.mtls.secretName) -}}
{{- fail "ingress.mtls.enabled needs ingress.mtls.secretName, a Secret with the clients' ca.crt" -}}
{{- end -}}
{{- if and $values.ingress.mtls.enabled (ne $values.ingress.className "nginx") (not $values.ingress.mtls.annotations) -}}
{{- fail "ingress.mtls.enabled with another class than nginx needs ingress.mtls.annotations that make the controller ask for certificates" -}}
{{- end -}}
{{- end -}}
{{- if and $values.gateway.mtlsSidecar.enabled (not $values.gateway.mtlsSidecar.existingSecret) -}}
{{- fail "gateway.mtlsSidecar.enabled needs gateway.mtlsSidecar.existingSecret with tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- range $role := list "gateway" "broker" "worker" -}}
{{- $grace := int (index $values $role).terminationGracePeriodSeconds -}}
{{- $least := int (include "flk.leastGrace" (dict "root" $ "role" $role)) -}}
{{- if and $grace (lt $grace $least) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds=%d is less than its drain needs: set it to %d or more, or to 0" $role $grace $least) -}}
{{- end -}}
{{- end -}}
{{- end -}}
