//! The instances over one database.

/// Which processes change a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// This process, and sometimes the command line.
    Alone,
    /// Any number of instances.
    Shared,
}

/// An instance that serves over a database that others may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Unique number. An older instance has a lower one, as far as their machines' clocks agree.
    pub id: u64,
    /// Whether it receives the commits of other instances ([`Sharing::Shared`]).
    pub sharing: Sharing,
    /// The maximum of its connections to the database.
    pub connections: u32,
}

/// The instances over one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instances {
    /// This instance.
    pub own: Instance,
    /// The other instances that used a connection within the last half a minute.
    pub others: Vec<Instance>,
    /// The server's limit of connections for all of them. None behind a pooler, which shares connections.
    pub connections_max: Option<u32>,
}

impl Instances {
    /// The number of other instances that this one must not serve beside, because it does not receive their commits:
    /// all that receive each other's commits, and older ones that do not. Of several that receive no commits, the
    /// oldest serves.
    #[must_use]
    pub fn conflicting_instances(&self) -> usize {
        let conflicts = |other: &&Instance| other.sharing == Sharing::Shared || other.id < self.own.id;
        match self.own.sharing {
            Sharing::Shared => 0,
            Sharing::Alone => self.others.iter().filter(conflicts).count(),
        }
    }

    /// The number of others that receive no commits, if this instance does.
    #[must_use]
    pub fn isolated_instances(&self) -> usize {
        match self.own.sharing {
            Sharing::Shared => self.others.iter().filter(|other| other.sharing == Sharing::Alone).count(),
            Sharing::Alone => 0,
        }
    }

    /// The sum of the connections that all instances may use, and the server's limit, if the limit is lower.
    #[must_use]
    pub fn connection_shortage(&self) -> Option<(u32, u32)> {
        let all = std::iter::once(&self.own).chain(&self.others);
        let wanted = all.fold(0_u32, |sum, one| sum.saturating_add(one.connections));
        self.connections_max.filter(|there| wanted > *there).map(|there| (wanted, there))
    }
}
