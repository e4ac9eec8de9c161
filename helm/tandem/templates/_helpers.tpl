{{/* The chart's name. */}}
{{- define "tandem.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The prefix of all names. 40 bytes leave room for what names of stateful sets and their services need. */}}
{{- define "tandem.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name (include "tandem.name" .) -}}
{{- if .Values.fullnameOverride }}
{{- $name = .Values.fullnameOverride }}
{{- else if contains (include "tandem.name" .) .Release.Name }}
{{- $name = .Release.Name }}
{{- end }}
{{- if not (regexMatch "^[a-z][a-z0-9-]*$" $name) }}
{{- fail (printf "%q cannot begin the names of services, which have a letter first and no dots: choose another release name, or set fullnameOverride" $name) }}
{{- end }}
{{- $name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* What selects the objects of this release. */}}
{{- define "tandem.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tandem.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "tandem.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tandem.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The pods' service account. */}}
{{- define "tandem.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tandem.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The image with its tag. */}}
{{- define "tandem.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{/* Where NATS is: given, or in the registrars. */}}
{{- define "tandem.natsURL" -}}
{{- default (printf "nats://%s-registrar:4222" (include "tandem.fullname" .)) .Values.nats.url }}
{{- end }}

{{/* The addresses of all registrars for one port, with commas: (list $ "scheme://" port). */}}
{{- define "tandem.peers" -}}
{{- $root := index . 0 -}}
{{- $scheme := index . 1 -}}
{{- $port := index . 2 -}}
{{- $name := printf "%s-registrar" (include "tandem.fullname" $root) -}}
{{- $peers := list -}}
{{- range $i := until (int $root.Values.registrar.replicas) }}
{{- $peers = append $peers (printf "%s%s-%d.%s-headless:%v" $scheme $name $i $name $port) -}}
{{- end }}
{{- join "," $peers }}
{{- end }}

{{/* What the pods of both kinds share: (list $ values component). */}}
{{- define "tandem.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
{{- $component := index . 2 -}}
serviceAccountName: {{ include "tandem.serviceAccountName" $root | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- with $values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tandem.selectorLabels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $component }}
{{- end }}
{{- end }}

{{/* The labels and annotations of the pods of both kinds: (list $ values component). */}}
{{- define "tandem.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
labels:
  {{- include "tandem.labels" $root | nindent 2 }}
  app.kubernetes.io/component: {{ index . 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The environment of the containers of both kinds: (list $ values). */}}
{{- define "tandem.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- with (index . 1).env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The probes of the containers of both kinds. */}}
{{- define "tandem.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 3
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}
