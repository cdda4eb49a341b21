//! What is below `deploy/`: that it can be read, that what it names is there, and that the program has
//! the options that it is started with.
//!
//! Families: manifests (would catch a selector that selects nothing, a port, a secret or a volume that
//! nobody has), command lines (would catch options that were renamed), units (would catch what systemd
//! does not understand, where systemd is).

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_yaml_ng::Value;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// All objects of the manifests.
fn manifests() -> Vec<Value> {
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(deploy().join("kubernetes")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            objects
                .push(Value::deserialize(document).unwrap_or_else(|why| panic!("{path:?}: {why}")));
        }
    }
    objects
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_sequence().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value:?}"))
}

/// Whether `labels` has all that `wanted` has.
fn selects(wanted: &Value, labels: &Value) -> bool {
    let wanted = wanted.as_mapping().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(name, value)| &labels[name] == value)
}

/// Deployments and StatefulSets.
fn workloads(objects: &[Value]) -> Vec<&Value> {
    [of_kind(objects, "Deployment"), of_kind(objects, "StatefulSet")].concat()
}

/// Checks that the program understands these arguments.
fn is_understood(args: &[&str]) {
    let ended =
        Command::new(env!("CARGO_BIN_EXE_highwater")).args(args).arg("--help").output().unwrap();
    assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn every_object_has_what_kubernetes_asks_for() {
    let objects = manifests();
    assert_eq!(objects.len(), 6);
    for object in &objects {
        for field in ["apiVersion", "kind"] {
            assert!(object[field].is_string(), "{object:?} has no {field}");
        }
        let name = text(&object["metadata"]["name"]);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name.chars().all(plain), "{name}");
    }
    let kinds: Vec<_> = objects.iter().map(|object| text(&object["kind"])).collect();
    for kind in ["Deployment", "StatefulSet", "Service", "Secret", "NetworkPolicy"] {
        assert!(kinds.contains(&kind), "there is no {kind}");
    }
}

#[test]
fn what_a_manifest_names_is_there() {
    let objects = manifests();
    let secrets = of_kind(&objects, "Secret");
    for workload in workloads(&objects) {
        let (spec, template) = (&workload["spec"], &workload["spec"]["template"]);
        assert!(selects(&spec["selector"]["matchLabels"], &template["metadata"]["labels"]));
        let pod = &template["spec"];
        let claims = list(&spec["volumeClaimTemplates"]).iter().map(|c| &c["metadata"]["name"]);
        let volumes: Vec<_> =
            list(&pod["volumes"]).iter().map(|v| &v["name"]).chain(claims).collect();
        for volume in list(&pod["volumes"]).iter().filter(|volume| !volume["secret"].is_null()) {
            let has =
                |secret: &&&Value| secret["metadata"]["name"] == volume["secret"]["secretName"];
            let secret = secrets.iter().find(has).unwrap();
            for item in list(&volume["secret"]["items"]) {
                assert!(secret["stringData"][text(&item["key"])].is_string(), "{item:?}");
            }
        }
        for container in list(&pod["containers"]) {
            for mount in list(&container["volumeMounts"]) {
                assert!(volumes.contains(&&mount["name"]), "{mount:?}");
            }
            for variable in list(&container["env"]) {
                let from = &variable["valueFrom"]["secretKeyRef"];
                if !from.is_null() {
                    let has = |secret: &&&Value| secret["metadata"]["name"] == from["name"];
                    let secret = secrets.iter().find(has).unwrap();
                    assert!(secret["stringData"][text(&from["key"])].is_string(), "{from:?}");
                }
            }
            let ports: Vec<_> =
                list(&container["ports"]).iter().map(|port| &port["name"]).collect();
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let port = &container[probe]["httpGet"]["port"];
                assert!(port.is_null() || ports.contains(&port), "{probe}: {port:?}");
            }
        }
    }
    for service in of_kind(&objects, "Service") {
        let pods = workloads(&objects).into_iter().map(|workload| &workload["spec"]["template"]);
        let pod = pods
            .into_iter()
            .find(|pod| selects(&service["spec"]["selector"], &pod["metadata"]["labels"]));
        let pod = pod.unwrap_or_else(|| panic!("{service:?} selects nothing"));
        let ports: Vec<_> = list(&pod["spec"]["containers"])
            .iter()
            .flat_map(|container| list(&container["ports"]))
            .map(|port| &port["name"])
            .collect();
        for port in list(&service["spec"]["ports"]) {
            let target = &port["targetPort"];
            assert!(target.is_null() || ports.contains(&target), "{port:?}");
        }
    }
}

#[test]
fn the_program_has_the_options_that_it_is_started_with() {
    let objects = manifests();
    for workload in workloads(&objects) {
        for container in list(&workload["spec"]["template"]["spec"]["containers"]) {
            let args: Vec<_> = list(&container["args"]).iter().map(text).collect();
            let args: Vec<_> =
                args.iter().map(|arg| arg.replace("$(POD_ADDRESS)", "10.0.0.1")).collect();
            is_understood(&args.iter().map(String::as_str).collect::<Vec<_>>());
            let probe = list(&container["readinessProbe"]["exec"]["command"]);
            let probe: Vec<_> = probe.iter().skip(1).map(text).collect();
            is_understood(&probe);
        }
    }
    for unit in units() {
        let file = std::fs::read_to_string(&unit).unwrap();
        let start = file.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let start = start.replace("${HIGHWATER_COORDINATOR}", "127.0.0.1:6123");
        is_understood(&start.split_whitespace().skip(1).collect::<Vec<_>>());
    }
}

fn units() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(deploy().join("systemd")).unwrap();
    let units: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(units.len(), 2);
    units
}

#[test]
fn systemd_understands_the_units_where_it_is() {
    for unit in units() {
        // The units name a program and a user that are not here.
        let file = std::fs::read_to_string(&unit).unwrap();
        let file =
            file.replace("/usr/local/bin/highwater", "/bin/true").replace("User=highwater\n", "");
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join(unit.file_name().unwrap());
        std::fs::write(&copy, file).unwrap();
        let Ok(ended) = Command::new("systemd-analyze").arg("verify").arg(&copy).output() else {
            eprintln!("skipped: there is no systemd-analyze");
            return;
        };
        let said = String::from_utf8_lossy(&ended.stderr);
        let about_it = said.lines().filter(|line| line.contains("highwater-"));
        assert_eq!(about_it.collect::<Vec<_>>(), [""; 0], "{}", unit.display());
    }
}

#[test]
fn the_container_runs_the_program_of_this_package() {
    let file = std::fs::read_to_string(deploy().join("Containerfile")).unwrap();
    let froms: Vec<_> = file.lines().filter(|line| line.starts_with("FROM ")).collect();
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert_eq!(froms.len(), 2);
    assert!(
        froms[0].contains(&format!("rust:{version}-")),
        "{}: expected Rust {version}",
        froms[0]
    );
    assert!(file.contains("cargo build --release --locked -p highwater-cluster"));
    assert!(file.contains("COPY --from=build /project/target/release/highwater /usr/local/bin/"));
    assert!(file.contains("USER 10001"), "it does not run as root");
}
