"""The pod that Kubeflow's driver makes of a compiled task, as far as the compiled file decides it."""

from typing import Any

from helpers.kubeflow import Compiled


def pod(found: Compiled, task: str) -> dict[str, Any]:
    """A Pod as it would be sent to the API server; every field from the compiled pipeline, the rest left out."""
    container, config = found.containers[task], found.kubernetes[task]
    volumes, mounts = [], []
    for one in config.pvc_mount:  # the driver gives the volume the claim's name
        volumes.append({"name": one.constant, "persistentVolumeClaim": {"claimName": one.constant}})
        mounts.append({"name": one.constant, "mountPath": one.mount_path})
    for one in config.empty_dir_mounts:
        volumes.append(
            {"name": one.volume_name, "emptyDir": {"medium": one.medium, "sizeLimit": one.size_limit}}
        )
        mounts.append({"name": one.volume_name, "mountPath": one.mount_path})
    main = {
        "name": "main",
        "image": container["image"],
        "command": container["command"],
        "args": container.get("args", []),
        "imagePullPolicy": config.image_pull_policy,
        "env": _environment(container, config),
        "resources": _resources(container.get("resources", {})),
        "volumeMounts": mounts,
    }
    tolerations = [
        {
            field.name: value
            for field, value in one.ListFields()
            if field.name in ("key", "operator", "value", "effect")
        }
        for one in config.tolerations
    ]
    spec = {
        "containers": [main],
        "volumes": volumes,
        "tolerations": tolerations,
        "nodeSelector": dict(config.node_selector.labels),
        "imagePullSecrets": [{"name": one.secret_name} for one in config.image_pull_secret],
        "activeDeadlineSeconds": int(config.active_deadline_seconds),
        "restartPolicy": "Never",
    }
    labels = dict(config.pod_metadata.labels)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": task, "labels": labels}, "spec": spec}


def _environment(container: dict[str, Any], config: Any) -> list[dict[str, Any]]:
    found = [dict(one) for one in container.get("env", [])]
    for one in config.field_path_as_env:
        found.append({"name": one.name, "valueFrom": {"fieldRef": {"fieldPath": one.field_path}}})
    for secret in config.secret_as_env:
        for pair in secret.key_to_env:
            source = {"secretKeyRef": {"name": secret.secret_name, "key": pair.secret_key}}
            found.append({"name": pair.env_var, "valueFrom": source})
    return found


def _resources(given: dict[str, Any]) -> dict[str, dict[str, str]]:
    limits, requests = {}, {}
    for kind in ("Cpu", "Memory"):
        if f"resource{kind}Limit" in given:
            limits[kind.lower()] = given[f"resource{kind}Limit"]
            requests[kind.lower()] = given[f"resource{kind}Request"]
    if "accelerator" in given:
        limits[given["accelerator"]["resourceType"]] = given["accelerator"]["resourceCount"]
    return {"limits": limits, "requests": requests}
