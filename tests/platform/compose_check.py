"""Compares deploy/compose/compose.yaml with `souk topology --json`.

    compose_check.py compose.yaml topology.json

Prints a line a fault and fails when there is one. Only what the two must agree on and what a
container must give up is judged; whether the file is well formed, docker-compose says.
"""

import json
import re
import sys

import yaml

SERVERS = {"postgres", "rabbitmq", "redis"}
CERTIFICATES = "certificates"
METRICS_PORT = 9090  # in a container of its own each has the default

faults = []


def fault(service, text):
    faults.append(f"{service}: {text}")


def expect(service, what, found, wanted):
    if found != wanted:
        fault(service, f"{what} is {found!r}, should be {wanted!r}")


def container_port(published):
    return str(published).rsplit(":", 1)[-1]


def check_locked(name, service):
    expect(name, "read_only", service.get("read_only"), True)
    expect(name, "cap_drop", service.get("cap_drop"), ["ALL"])
    expect(name, "cap_add", service.get("cap_add"), None)
    expect(name, "privileged", service.get("privileged"), None)
    expect(name, "security_opt", service.get("security_opt"), ["no-new-privileges:true"])
    user = str(service.get("user", "root")).split(":")[0]
    if user in ("", "0", "root"):
        fault(name, "runs as root")
    for key, value in (service.get("environment") or {}).items():
        if re.search(r"(PASSWORD|SECRET|_KEY)$", key):
            fault(name, f"the environment holds a secret, {key}")
        if re.search(r"://[^/@]*:[^/@]+@", str(value)):
            fault(name, f"{key} holds a password")


def check_profiles(name, service, wanted):
    expect(name, "profiles", sorted(service.get("profiles") or []), sorted(wanted))


def check_health(name, service):
    health = service.get("healthcheck") or {}
    if health.get("disable") or not health.get("test"):
        fault(name, "has no health check")
    return health.get("test")


def check_waits(name, service, conditions):
    found = {who: how.get("condition") for who, how in (service.get("depends_on") or {}).items()}
    expect(name, "depends_on", found, conditions)


def check_module(service, module, by_name):
    name = module["service"]
    role = module["name"]
    environment = service.get("environment") or {}
    check_locked(name, service)
    check_profiles(name, service, ["split"])
    expect(name, "command", service.get("command"), ["serve", f"--modules={role}"])
    expect(name, "its health check", check_health(name, service), ["CMD", "souk", "healthcheck"])
    waits = {server: "service_healthy" for server in SERVERS}
    waits[CERTIFICATES] = "service_completed_successfully"
    check_waits(name, service, waits)

    peers = {
        key.removeprefix("SOUK__PEERS__").lower(): value
        for key, value in environment.items()
        if key.startswith("SOUK__PEERS__")
    }
    wanted = {
        peer: f"https://{by_name[peer]['service']}:{by_name[peer]['internal_port']}"
        for peer in module["calls"]
    }
    expect(name, "peers", peers, wanted)

    published = [container_port(port) for port in service.get("ports") or []]
    expect(name, "published ports", published, [str(module["port"])] if role == "gateway" else [])
    networks = ["inside", "outside"] if role == "gateway" else ["inside"]
    expect(name, "networks", sorted(service.get("networks") or []), networks)
    for part in ("CERTIFICATE", "KEY"):
        ending = "crt" if part == "CERTIFICATE" else "key"
        found = environment.get(f"SOUK__INTERNAL__{part}_FILE", "").rsplit("/", 1)[-1]
        expect(name, f"internal.{part.lower()}_file", found, f"{role}.{ending}")
    if ("SOUK__INTERNAL__IDENTITY_KEY_FILE" in environment) != (role == "gateway"):
        fault(name, "the key that signs identities is the gateway's, and its alone")

    databases = {secret for secret in service.get("secrets") or [] if "postgres" in str(secret)}
    own = set() if role == "gateway" else {f"postgres_{role}"}
    expect(name, "database secrets", databases, own)
    if "SOUK__METRICS__ADDRESS" in environment or "SOUK__METRICS__PORT" in environment:
        fault(name, f"metrics stay on the container's own 127.0.0.1:{METRICS_PORT}")


def check_whole(service, by_name):
    check_locked("whole", service)
    check_profiles("whole", service, ["whole"])
    expect("whole", "command", service.get("command"), ["serve"])
    test = check_health("whole", service)
    expect("whole", "its health check", test, ["CMD", "souk", "healthcheck"])
    check_waits("whole", service, {server: "service_healthy" for server in SERVERS})
    published = [container_port(port) for port in service.get("ports") or []]
    expect("whole", "published ports", published, [str(by_name["gateway"]["port"])])


def check_server(name, service):
    check_locked(name, service)
    check_profiles(name, service, ["split", "whole"])
    check_health(name, service)
    expect(name, "published ports", service.get("ports") or [], [])
    expect(name, "networks", service.get("networks"), ["inside"])
    if not re.fullmatch(r"[a-z]+:\d+(\.\d+)*(-[a-z]+)?", service.get("image", "")):
        fault(name, f"the image {service.get('image')} has no pinned version")


def check_certificates(service):
    check_locked(CERTIFICATES, service)
    check_profiles(CERTIFICATES, service, ["split"])
    expect(CERTIFICATES, "command", (service.get("command") or [None])[0], "dev-certs")


def check(compose, modules):
    services = compose["services"]
    by_name = {module["name"]: module for module in modules}
    # It sends each request on to the module that serves it.
    expect("topology", "calls of the gateway", set(by_name["gateway"]["calls"]),
           set(by_name) - {"gateway"})
    wanted = {module["service"] for module in modules} | SERVERS | {CERTIFICATES, "whole"}
    for name in sorted(wanted - services.keys()):
        fault(name, "is missing")
    for name in sorted(services.keys() - wanted):
        fault(name, "is no service of the topology")
    for module in modules:
        if module["service"] in services:
            check_module(services[module["service"]], module, by_name)
    if "whole" in services:
        check_whole(services["whole"], by_name)
    if CERTIFICATES in services:
        check_certificates(services[CERTIFICATES])
    for name in sorted(SERVERS & services.keys()):
        check_server(name, services[name])
    if not (compose.get("networks") or {}).get("inside", {}).get("internal"):
        fault("networks", "the inner one must be internal")
    for name, secret in (compose.get("secrets") or {}).items():
        if set(secret or {}) != {"file"}:
            fault("secrets", f"{name} must come from a file")


def main():
    with open(sys.argv[1], encoding="utf-8") as text:
        compose = yaml.safe_load(text)
    with open(sys.argv[2], encoding="utf-8") as text:
        modules = json.load(text)["modules"]
    check(compose, modules)
    for line in faults:
        print(line)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
