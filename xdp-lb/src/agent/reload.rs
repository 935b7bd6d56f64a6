//! SIGHUP: the configuration file, read again.

use crate::api::admin::pages;
use crate::api::web::{AdminError, AdminServer};
use crate::config::{Admin, Agent as AgentSection, Config};
use crate::control::Event;
use crate::datapath::{Datapath, ways};

use super::Agent;

impl<D: Datapath> Agent<D> {
    /// Reads the file again. Where it is wrong, every error is logged and the old configuration stays.
    pub(super) async fn reload(&mut self) {
        self.notifier.reloading();
        match (self.load)(&self.config_path) {
            Ok(config) => self.reconfigure(config).await,
            Err(e) => {
                for line in e.to_string().lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("the configuration stays as it was: correct the file and reload again");
            }
        }
        self.notifier.ready();
    }

    async fn reconfigure(&mut self, mut config: Config) {
        let waiting = differences(&self.config.agent, &config.agent);
        if !waiting.is_empty() {
            tracing::warn!(
                "[agent] {} changed: a restart is needed for it, the rest takes effect now",
                waiting.join(", ")
            );
            config.agent = self.config.agent.clone();
        }
        // Without the program any server of a VIP would answer the checks of all.
        let checks = !ways::checked_by_data_path(&config).is_empty();
        if let Err(e) = self.applier.datapath().lead_checks(checks) {
            tracing::error!("{e}; the configuration stays as it was: correct it and reload again");
            return;
        }
        if config.admin != self.config.admin
            && let Err(e) = self.move_admin(config.admin.as_ref()).await
        {
            tracing::error!("{e}; it stays where it was");
            config.admin.clone_from(&self.config.admin);
            if let Err(e) = self.move_admin(config.admin.as_ref()).await {
                tracing::error!("{e}; there are no metrics until the next reload");
                config.admin = None;
            }
        }
        self.config = config.clone();
        self.log_notes();
        self.feed(Event::Configured(Box::new(config)));
        tracing::info!("configuration reloaded from {}", self.config_path.display());
    }

    /// The old address is given up first: it may be part of the new one, as 127.0.0.1 is of 0.0.0.0.
    async fn move_admin(&mut self, to: Option<&Admin>) -> Result<(), AdminError> {
        if let Some(old) = self.edges.admin.take() {
            old.close().await;
        }
        if let Some(admin) = to {
            let mut server = AdminServer::open(admin.listen).await?;
            server.serve(pages(self.queries.0.clone()));
            tracing::info!("metrics at http://{}/metrics", server.address());
            self.edges.admin = Some(server);
        }
        Ok(())
    }
}

/// Keys of `[agent]` that differ: they shape maps, sockets and attachments that exist already.
fn differences(old: &AgentSection, new: &AgentSection) -> Vec<&'static str> {
    macro_rules! keys {
        ($($key:ident),*) => { [$((stringify!($key), old.$key != new.$key)),*] };
    }
    let keys = keys![
        interfaces,
        xdp_mode,
        state_dir,
        control_socket,
        pin_dir,
        max_vips,
        max_backends,
        table_size,
        flow_entries,
        flow_idle,
        flow_insert_limit,
        icmp_limit,
        hash_seed,
        tunnel_source_v4,
        tunnel_source_v6
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
