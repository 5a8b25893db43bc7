//! What is set and stopped from outside beside deploys: context, settings of nodes, single nodes.

use tidewire_model::Value;
use tidewire_node_api::StopReason;

use super::{Engine, SendError};
use crate::apply;
use crate::contexts::Contexts;

impl Engine {
    /// Context of all nodes.
    pub fn contexts(&self) -> &Contexts {
        &self.0.shared.contexts
    }

    /// Sets what nodes find under a setting's name, Node-RED's where it has one; undefined takes it away. A node that
    /// runs sees it when it asks next.
    pub fn set_setting(&self, name: &str, value: Value) {
        let mut settings = self.0.shared.settings.write();
        if value.is_undefined() {
            settings.remove(name);
        } else {
            settings.insert(name.to_owned(), value);
        }
    }

    /// Stops one node until the next deploy that starts it; what arrives for it waits in its inbox.
    ///
    /// # Errors
    /// No such node, or switched off.
    pub async fn close(&self, node: &str, reason: StopReason) -> Result<(), SendError> {
        let _deploying = self.0.deploying.lock().await;
        let slot = self.slot(node)?;
        apply::stop(&slot, reason, apply::STOP).await;
        Ok(())
    }
}
