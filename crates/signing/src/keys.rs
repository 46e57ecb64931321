//! The keys that sign queue tokens, and their file.

use super::PreparedKey;
use arc_swap::ArcSwap;
use frontrow_clock::Ids;
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

/// How many keys a rotation keeps: tokens signed with an older key are refused from then on.
const KEYS_KEPT: usize = 4;
/// Only the owner can read and write the file.
const FILE_MODE: u32 = 0o600;
/// The comment at the top of the file.
const FILE_HEAD: &str = "# Keys that sign queue tokens. Secret: with them one can forge a place in line.\n\
    # `signing` names the key for new tokens; the others still verify old ones.\n";

/// The keys of an installation: one signs, all verify. They can be replaced while in use.
#[derive(Clone)]
pub struct Keyring {
    ring: Arc<ArcSwap<Ring>>,
}

/// An immutable set of keys.
pub(super) struct Ring {
    keys: Vec<PreparedKey>,
    signing: usize,
}

impl Ring {
    pub(super) fn signing(&self) -> &PreparedKey {
        &self.keys[self.signing]
    }

    pub(super) fn keys(&self) -> &[PreparedKey] {
        &self.keys
    }

    pub(super) fn key(&self, id: u8) -> Option<&PreparedKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// The keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("the key file cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// The file's content makes no keyring. The text never quotes it.
    #[error("the key file is wrong: {0}")]
    Content(&'static str),
}

impl Keyring {
    /// Makes a keyring of these ids and secrets; `signing` is the id of the signing key.
    ///
    /// # Errors
    /// Two keys have the same id, or none has the id `signing`.
    pub fn from_secrets(secrets: &[(u8, [u8; 32])], signing: u8) -> Result<Self, KeyError> {
        let keys: Vec<_> = secrets.iter().map(|(id, secret)| PreparedKey::new(*id, *secret)).collect();
        let twice = |key: &PreparedKey| keys.iter().filter(|other| other.id == key.id).count() > 1;
        if keys.iter().any(twice) {
            return Err(KeyError::Content("two keys have the same id"));
        }
        let signing = keys
            .iter()
            .position(|key| key.id == signing)
            .ok_or(KeyError::Content("`signing` names a key that is not there"))?;
        Ok(Self { ring: Arc::new(ArcSwap::from_pointee(Ring { keys, signing })) })
    }

    /// Replaces the keys with those of `other`, in every clone of this keyring.
    pub fn adopt(&self, other: &Self) {
        self.ring.store(other.ring.load_full());
    }

    /// Loads the keyring from the file at `path`. If there is none, makes one with a new key, readable by its owner
    /// only.
    ///
    /// # Errors
    /// The file cannot be read or written, or its content makes no keyring.
    pub fn load_or_create(path: &Path, ids: &Ids) -> Result<Self, KeyError> {
        if !path.try_exists()? {
            KeyFile { signing: 1, keys: vec![StoredKey::new(1, ids)] }.create(path)?;
        }
        KeyFile::read(path)?.keyring()
    }

    /// Loads the keyring from the file at `path`, which must be there.
    ///
    /// # Errors
    /// As for loading.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        KeyFile::read(path)?.keyring()
    }

    /// The ids and secrets in the file at `path`, the signing key first.
    ///
    /// # Errors
    /// As for loading.
    pub fn secrets(path: &Path) -> Result<Vec<(u8, [u8; 32])>, KeyError> {
        let file = KeyFile::read(path)?;
        let mut secrets = file.secrets()?;
        secrets.sort_by_key(|(id, _)| *id != file.signing);
        Ok(secrets)
    }

    /// Adds a new key to the file at `path`, which signs from now on. The newest old keys still verify.
    ///
    /// # Errors
    /// As for loading.
    pub fn rotate(path: &Path, ids: &Ids) -> Result<Self, KeyError> {
        let mut file = KeyFile::read(path)?;
        let mut id = file.signing.wrapping_add(1);
        while file.keys.iter().any(|key| key.id == id) {
            id = id.wrapping_add(1);
        }
        file.keys.insert(0, StoredKey::new(id, ids));
        file.keys.truncate(KEYS_KEPT);
        file.signing = id;
        file.replace(path)?;
        file.keyring()
    }

    pub(super) fn ring(&self) -> arc_swap::Guard<Arc<Ring>> {
        self.ring.load()
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ring = self.ring();
        let ids: Vec<_> = ring.keys.iter().map(|key| key.id).collect();
        f.debug_struct("Keyring").field("ids", &ids).field("signing", &ring.signing().id).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    signing: u8,
    #[serde(rename = "key")]
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    id: u8,
    secret: String,
}

impl StoredKey {
    fn new(id: u8, ids: &Ids) -> Self {
        let mut secret = String::with_capacity(64);
        for byte in ids.secret() {
            // Writing to a string cannot fail.
            let _ = write!(secret, "{byte:02x}");
        }
        Self { id, secret }
    }

    fn secret(&self) -> Option<[u8; 32]> {
        let digits = self.secret.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut secret = [0; 32];
        for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(secret)
    }
}

impl KeyFile {
    fn read(path: &Path) -> Result<Self, KeyError> {
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "the key file can be read by others");
        }
        // The parser's message would quote the line, which may be a secret.
        toml::from_str(&fs::read_to_string(path)?).map_err(|_| KeyError::Content("it is not a key file in TOML"))
    }

    fn secrets(&self) -> Result<Vec<(u8, [u8; 32])>, KeyError> {
        let secret = |key: &StoredKey| key.secret().map(|secret| (key.id, secret));
        let secrets = self.keys.iter().map(secret).collect::<Option<_>>();
        secrets.ok_or(KeyError::Content("a secret is not 64 hexadecimal digits"))
    }

    fn keyring(&self) -> Result<Keyring, KeyError> {
        Keyring::from_secrets(&self.secrets()?, self.signing)
    }

    /// Creates the file. One that another process has created meanwhile stays.
    fn create(&self, path: &Path) -> Result<(), KeyError> {
        let draft = self.write_draft(path)?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn replace(&self, path: &Path) -> Result<(), KeyError> {
        let draft = self.write_draft(path)?;
        Ok(fs::rename(draft, path)?)
    }

    /// Writes the whole file under another name and flushes it, so that no reader sees half of it.
    fn write_draft(&self, path: &Path) -> Result<std::path::PathBuf, KeyError> {
        let text = toml::to_string(self).map_err(|_| KeyError::Content("it cannot be written as TOML"))?;
        let draft = path.with_extension(format!("draft-{}", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&draft)?;
        file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        file.write_all(FILE_HEAD.as_bytes())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        id::{Position, RoomId, TokenId, UserId},
        line::Token,
        time::Time,
    };

    fn token() -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        Token::issued(id, UserId(uuid::Uuid::nil()), Time::from_micros(0))
    }

    #[test]
    fn a_new_file_is_private_and_read_again_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.toml");
        let made = Keyring::load_or_create(&path, &Ids::from_seed(1)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
        let read = Keyring::load_or_create(&path, &Ids::from_seed(2)).unwrap();
        assert!(read.verify(&made.sign(&token(), 1)).is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_rotated_key_verifies_until_enough_new_ones_came() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.toml");
        let ids = Ids::from_seed(1);
        let first = Keyring::load_or_create(&path, &ids).unwrap().sign(&token(), 1);
        for _ in 1..KEYS_KEPT {
            let ring = Keyring::rotate(&path, &ids).unwrap();
            assert_ne!(ring.sign(&token(), 1), first);
            assert!(ring.verify(&first).is_ok());
        }
        assert!(Keyring::rotate(&path, &ids).unwrap().verify(&first).is_err());
        assert!(Keyring::load_or_create(&path, &ids).unwrap().verify(&first).is_err());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
    }

    #[test]
    fn key_ids_start_over_after_the_last_and_never_meet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.toml");
        let ids = Ids::from_seed(1);
        let secret = "ab".repeat(32);
        let key = |id: u8| format!("[[key]]\nid = {id}\nsecret = \"{secret}\"\n");
        fs::write(&path, format!("signing = 254\n{}{}", key(254), key(0))).unwrap();
        for expected in [255, 1, 2] {
            assert_eq!(Keyring::rotate(&path, &ids).unwrap().ring().signing().id, expected);
        }
    }

    #[test]
    fn a_wrong_file_is_refused_without_being_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.toml");
        let secret = "ab".repeat(32);
        let wrong = [
            format!("signing = 2\n[[key]]\nid = 1\nsecret = \"{secret}\""),
            format!("signing = 1\n[[key]]\nid = 1\nsecret = \"{}\"", &secret[1..]),
            format!("signing = 1\n[[key]]\nid = 1\nsecret = \"{}zz\"", &secret[2..]),
            format!("signing = 1\n[[key]]\nid = 1\nsecret = \"{secret}\"\n[[key]]\nid = 1\nsecret = \"{secret}\""),
            format!("signing = 1\n[[key]]\nid = 1\nsecret = {secret}"),
            String::new(),
        ];
        for text in wrong {
            fs::write(&path, &text).unwrap();
            let error = Keyring::load_or_create(&path, &Ids::from_seed(1)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(&secret[..16]), "{error:?}");
        }
    }

    #[test]
    fn a_keyring_takes_over_other_keys_wherever_it_is_used() {
        let ring = Keyring::from_secrets(&[(1, [1; 32])], 1).unwrap();
        let (used, old) = (ring.clone(), ring.sign(&token(), 1));
        ring.adopt(&Keyring::from_secrets(&[(2, [2; 32]), (1, [1; 32])], 2).unwrap());
        assert_ne!(used.sign(&token(), 1), old);
        assert!(used.verify(&old).is_ok());
        ring.adopt(&Keyring::from_secrets(&[(2, [2; 32])], 2).unwrap());
        assert!(used.verify(&old).is_err());
    }

    #[test]
    fn a_keyring_does_not_show_its_keys() {
        let ring = Keyring::from_secrets(&[(1, [0xab; 32])], 1).unwrap();
        assert_eq!(format!("{ring:?}"), "Keyring { ids: [1], signing: 1, .. }");
    }
}
