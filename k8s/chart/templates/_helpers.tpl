{{- define "pteropus.labels" -}}
app.kubernetes.io/name: pteropus
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: pteropus
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end }}

{{- define "pteropus.selector" -}}
app.kubernetes.io/name: pteropus
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "pteropus.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- /* An address as URLs have it. */ -}}
{{- define "pteropus.urlHost" -}}
{{- if contains ":" . }}[{{ . }}]{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* JSON list of etcd's client URLs. */ -}}
{{- define "pteropus.endpoints" -}}
{{- $endpoints := .Values.etcd.external.endpoints }}
{{- if not $endpoints }}
{{- if not .Values.etcd.hosts }}
{{- fail "etcd.hosts is needed: the addresses of the nodes that run etcd (--set 'etcd.hosts={10.0.0.10}'), or etcd.external.endpoints" }}
{{- end }}
{{- range .Values.etcd.hosts }}
{{- $endpoints = append $endpoints (printf "https://%s:%d" (include "pteropus.urlHost" .) (int $.Values.etcd.clientPort)) }}
{{- end }}
{{- end }}
{{- $endpoints | toJson }}
{{- end }}

{{- define "pteropus.store" -}}
{{- $store := dict "endpoints" (include "pteropus.endpoints" . | fromJsonArray) }}
{{- $_ := set $store "caFile" "/etc/pteropus/store/ca.crt" }}
{{- $_ := set $store "certFile" "/etc/pteropus/store/tls.crt" }}
{{- $_ := set $store "keyFile" "/etc/pteropus/store/tls.key" }}
{{- with .Values.etcd.external.prefix }}{{ $_ := set $store "prefix" . }}{{ end }}
{{- $store | toJson }}
{{- end }}

{{- /* Where a program's REST interface listens; the argument has `root` and `port`. */ -}}
{{- define "pteropus.rest" -}}
{{- if .root.Values.metrics.enabled }}
{{- $rest := dict "listen" (printf "$ADDRESS:%d" (int .port)) }}
{{- $_ := set $rest "certFile" "/etc/pteropus/rest/tls.crt" }}
{{- $_ := set $rest "keyFile" "/etc/pteropus/rest/tls.key" }}
{{- $_ := set $rest "clientCaFile" "/etc/pteropus/rest/ca.crt" }}
{{- $rest | toJson }}
{{- else }}
{{- printf "127.0.0.1:%d" (int .port) | toJson }}
{{- end }}
{{- end }}

{{- /* The cluster configuration; an empty text stands for null, since a null in one's own values takes a default away. */ -}}
{{- define "pteropus.cluster" -}}
{{- $cluster := dict "ipv6" nil }}
{{- range $key, $value := .Values.cluster }}
{{- if kindIs "map" $value }}
{{- $family := dict }}
{{- range $k, $v := $value }}
{{- $_ := set $family $k (ternary nil $v (eq (toString $v) "")) }}
{{- end }}
{{- $_ := set $cluster $key $family }}
{{- else }}
{{- $_ := set $cluster $key (ternary nil $value (and (kindIs "string" $value) (eq (toString $value) ""))) }}
{{- end }}
{{- end }}
{{- $cluster | toPrettyJson }}
{{- end }}

{{- /* Asks a REST interface: by the kubelet on loopback, by the program itself where it wants a certificate. */ -}}
{{- define "pteropus.probe" -}}
{{- if .root.Values.metrics.enabled -}}
exec:
  command: [node, /opt/pteropus/bin/pteropus.mjs, node, probe, --config, {{ .config }}, {{ .path }}]
timeoutSeconds: 6
{{- else -}}
httpGet: {host: 127.0.0.1, port: {{ .port }}, path: {{ .path }}}
timeoutSeconds: 5
{{- end }}
{{- end }}

{{- /* What AF_XDP needs: NET_ADMIN attaches programs, NET_RAW opens the sockets, IPC_LOCK locks their memory, SYS_ADMIN loads BPF on
every kernel and enters the namespaces of pods that have a TAP. */ -}}
{{- define "pteropus.dataplaneSecurity" -}}
runAsUser: 0
readOnlyRootFilesystem: true
{{- if .Values.node.privilegedDataplane }}
privileged: true
{{- else }}
# The API server takes no other value beside SYS_ADMIN.
allowPrivilegeEscalation: true
capabilities:
  drop: [ALL]
  add: [NET_ADMIN, NET_RAW, IPC_LOCK, SYS_ADMIN]
{{- end }}
{{- end }}

{{- define "pteropus.unprivileged" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
{{- end }}

{{- define "pteropus.vppImage" -}}
image: {{ printf "%s:%s" .Values.vpp.image.repository (.Values.vpp.image.tag | default .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "pteropus.vppSecurity" -}}
runAsUser: 0
privileged: true
readOnlyRootFilesystem: true
{{- end }}
