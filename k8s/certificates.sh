#!/bin/sh
# Certificates of Pteropus's etcd and its clients. Prints the Secrets; needs openssl, and nothing of the cluster:
#   k8s/certificates.sh 10.0.0.10 | kubectl apply -f -
#   k8s/certificates.sh 10.0.0.10 10.0.0.11 10.0.0.12 | kubectl apply -f -
# Arguments: the addresses of the nodes that run etcd (etcd.hosts). Environment:
#   DIR        where the authority is kept (default ./pteropus-certificates): its key never gets into the cluster. Run again with
#              the same DIR to renew or to add addresses: what is there goes on working, since the authority stays the same.
#   DAYS       how long certificates are good (default 1095; the authority: ten years)
#   NAMESPACE  default pteropus-system
set -eu
umask 077
DIR=${DIR:-./pteropus-certificates} DAYS=${DAYS:-1095} NAMESPACE=${NAMESPACE:-pteropus-system}

if [ $# -eq 0 ]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p;}' "$0" >&2
  exit 2
fi
command -v openssl >/dev/null || { echo "certificates.sh: openssl is missing" >&2; exit 3; }

names=DNS:localhost,IP:127.0.0.1
for address in "$@"; do
  case $address in
    *[!0-9a-fA-F.:]* | '') echo "certificates.sh: not an IP address: $address" >&2; exit 2 ;;
  esac
  names=$names,IP:$address
done

mkdir -p "$DIR"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

if [ ! -f "$DIR/ca.crt" ]; then
  key "$DIR/ca.key"
  openssl req -x509 -new -key "$DIR/ca.key" -subj "/CN=pteropus" -days 3650 -out "$DIR/ca.crt" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
fi

# signed NAME COMMON_NAME USAGES [ALTERNATIVE_NAMES]
signed() {
  key "$DIR/$1.key"
  { echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=$3"
    if [ $# -ge 4 ]; then echo "subjectAltName=$4"; fi
  } >"$DIR/$1.ext"
  openssl req -new -key "$DIR/$1.key" -subj "/CN=$2" -out "$DIR/$1.csr"
  openssl x509 -req -in "$DIR/$1.csr" -CA "$DIR/ca.crt" -CAkey "$DIR/ca.key" -CAcreateserial \
    -days "$DAYS" -extfile "$DIR/$1.ext" -out "$DIR/$1.crt" 2>/dev/null
  rm "$DIR/$1.csr" "$DIR/$1.ext"
}

# etcd asks itself, so its server's certificate is a client's too.
signed etcd-server pteropus-etcd serverAuth,clientAuth "$names"
signed etcd-peer pteropus-etcd-peer serverAuth,clientAuth "$names"
signed store-vswitch pteropus-vswitch clientAuth
signed store-ksr pteropus-ksr clientAuth
# Agents and ksr by one name, whatever their addresses are; probes use it as a client's.
signed rest pteropus serverAuth,clientAuth DNS:pteropus,DNS:localhost
signed metrics-client pteropus-metrics-client clientAuth

base64_of() { openssl base64 -A -in "$DIR/$1"; }

# secret NAME KEY=FILE...
secret() {
  printf -- '---\napiVersion: v1\nkind: Secret\ntype: Opaque\nmetadata:\n  name: %s\n  namespace: %s\n' "$1" "$NAMESPACE"
  printf '  labels:\n    app.kubernetes.io/name: pteropus\ndata:\n'
  shift
  for entry in "$@"; do printf '  %s: %s\n' "${entry%%=*}" "$(base64_of "${entry#*=}")"; done
}

secret pteropus-etcd ca.crt=ca.crt server.crt=etcd-server.crt server.key=etcd-server.key \
  peer.crt=etcd-peer.crt peer.key=etcd-peer.key
secret pteropus-store-vswitch ca.crt=ca.crt tls.crt=store-vswitch.crt tls.key=store-vswitch.key
secret pteropus-store-ksr ca.crt=ca.crt tls.crt=store-ksr.crt tls.key=store-ksr.key
secret pteropus-rest ca.crt=ca.crt tls.crt=rest.crt tls.key=rest.key
secret pteropus-metrics-client ca.crt=ca.crt tls.crt=metrics-client.crt tls.key=metrics-client.key
