//! Files that are replaced, spoilt and removed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::super::fixtures::until;
use super::*;

const INTERVAL: Duration = Duration::from_millis(10);

/// Puts a new file in the place of the old one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

fn listed(path: PathBuf) -> Members {
    Members::File { path, interval: INTERVAL }
}

#[tokio::test]
async fn a_pool_follows_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servers.json");
    replace(&path, r#"[{"address": "10.0.0.1:80", "weight": 7}]"#);
    let pool = pool(listed(path.clone())).unwrap();
    assert_eq!(addresses(&pool), ["10.0.0.1:80"], "known before anything runs");
    let first = pool.pick(&[], start()).unwrap();
    following(&pool, async {
        replace(&path, r#"[{"address": "10.0.0.2:80"}, {"address": "10.0.0.1:80", "weight": 8}]"#);
        until("the second server", || addresses(&pool) == ["10.0.0.1:80", "10.0.0.2:80"]).await;
        assert_eq!(pool.pick(&[], start()).map(|picked| picked.server().id.0 < 2), Some(true));

        replace(&path, r#"[{"address": "10.0.0.3"}]"#);
        until("the mistake is told", || problem(&pool).contains("invalid socket address")).await;
        assert!(problem(&pool).contains("servers.json"));
        assert_eq!(addresses(&pool), ["10.0.0.1:80", "10.0.0.2:80"], "the old list stays");

        std::fs::remove_file(&path).unwrap();
        until("that it is missing is told", || problem(&pool).contains("No such file")).await;
        assert_eq!(addresses(&pool).len(), 2);

        // In place, too.
        std::fs::write(&path, r#"[{"address": "10.0.0.2:80"}]"#).unwrap();
        until("the second server alone", || addresses(&pool) == ["10.0.0.2:80"]).await;
        until("nothing is wrong", || problem(&pool).is_empty()).await;
    })
    .await;
    assert_eq!(first.server().address.to_string(), "10.0.0.1:80");
    let status = pool.status(tokio::time::Instant::now().into_std());
    let left: Vec<_> = status.servers.iter().map(|s| (s.name.as_str(), s.score.state.as_str())).collect();
    assert!(left.contains(&("10.0.0.1:80", "removed")), "it has a request to finish: {left:?}");
}

#[test]
fn without_a_good_file_there_is_no_pool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servers.json");
    let missing = pool(listed(path.clone())).unwrap_err().to_string();
    assert!(missing.contains("pool \"web\"") && missing.contains("servers.json"), "{missing}");
    assert!(missing.contains("cannot be read"), "{missing}");
    std::fs::write(&path, "[]").unwrap();
    assert!(pool(listed(path.clone())).unwrap_err().to_string().contains("lists no server"));
    let folder = pool(listed(folder.path().to_owned())).unwrap_err().to_string();
    assert!(folder.contains("cannot be read: it is no regular file"), "{folder}");
}

#[test]
fn a_reload_with_a_spoilt_file_keeps_what_was_read_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servers.json");
    replace(&path, r#"[{"address": "10.0.0.1:80"}]"#);
    let config = PoolConfig { members: listed(path.clone()), ..fixtures::pool("web", &[]) };
    let before = Pools::build_seeded(std::slice::from_ref(&config), None, &mut || 1, start()).unwrap();
    replace(&path, "spoilt");
    let after =
        Pools::build_seeded(std::slice::from_ref(&config), Some(&before), &mut || 1, start()).unwrap();
    after.take_over(start());
    assert_eq!(addresses(after.get(0)), ["10.0.0.1:80"]);
    let other = folder.path().join("other.json");
    replace(&other, "spoilt");
    let config = PoolConfig { members: listed(other), ..config };
    let refused = Pools::build_seeded(&[config], Some(&after), &mut || 1, start());
    assert!(refused.unwrap_err().to_string().contains("other.json"));
}
