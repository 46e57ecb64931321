//! `frontrow verify-draw`: the record of a draw in a file, without a database and a network.

use crate::PROGRAM;
use frontrow_testkit::program::text;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

const RECORD: &str = include_str!("../../../draw/tests/fixtures/record.json");
const SECRET_ALONE: &str = include_str!("../../../draw/tests/fixtures/record-secret-alone.json");

/// Its exit code, and what it says.
fn verify(file: &Path, flags: &[&str]) -> (i32, String) {
    let output = Command::new(PROGRAM.path()).arg("verify-draw").arg(file).args(flags).output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

/// The same for a file of this content.
fn verify_text(content: &str, flags: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("draw.json");
    fs::write(&file, content).unwrap();
    verify(&file, flags)
}

#[test]
fn a_true_record_is_verified_check_by_check_and_shown_in_the_order_drawn() {
    let (code, said) = verify_text(RECORD, &["--entry", "2"]);
    assert_eq!(code, 0, "{said}");
    let expected = "\
ok     the format is frontrow-draw/1
ok     the rules are those of version 1
ok     the secret has the hash that the record says was published before the draw
ok     11 entries, by ascending number
ok     the entries have the root that the record says was published before the draw
ok     the chain is quicknet, the public one of the League of Entropy
ok     round 1000 is the one of 2023-08-23T15:59:24.000000Z, after the entries were closed at 2023-08-23T15:59:23.500000Z
ok     the chain signed round 1000, and its randomness decided with the secret
ok     the seed follows from the secret, the root and the randomness

Compare with what was published before the draw:
  secret hash  000b35b2716ace9dbff92b327257296d36bc51da0224710cb0edba50fdb1e104
  root         0768d2d91ca840edfa1e6960cc105e86b3cdc6c20af03fc0f7a4009908023267
  entries      11
  chain        52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971
  round        1000

The first 10 of 11 in the order drawn:
   1  entry 9
   2  entry 11
   3  entry 8
   4  entry 2
   5  entry 12
   6  entry 5
   7  entry 10
   8  entry 6
   9  entry 1
  10  entry 14

Entry 2 has rank 4 of 11.
";
    assert_eq!(said, expected);
}

#[test]
fn a_record_whose_secret_decided_alone_says_so() {
    let (code, said) = verify_text(SECRET_ALONE, &[]);
    assert_eq!(code, 0, "{said}");
    let line = "ok     the secret, which the house knew before, decided alone: no signature of round 1000 was given by \
                2023-08-23T16:00:24.000000Z\n";
    assert!(said.contains(line), "{said}");
    let at_once =
        SECRET_ALONE.replace("\"deadline_micros\": 1692806424000000", "\"deadline_micros\": 1692806363500000");
    let (code, said) = verify_text(&at_once, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("decided alone: the draw waited for no round\n"), "{said}");
}

#[test]
fn an_entry_that_is_not_in_the_draw_is_a_failure() {
    let (code, said) = verify_text(RECORD, &["--entry", "4"]);
    assert_eq!(code, 1);
    assert!(said.ends_with("\nEntry 4 is not in this draw.\n"), "{said}");
}

#[test]
fn every_altered_field_is_named_and_nothing_is_drawn() {
    let zeros = "0".repeat(64);
    let altered = [
        ("/format", json!("frontrow-draw/2"), "the format is not frontrow-draw/1"),
        ("/rules_version", json!(2), "the rules have version 2, and version 1 is known here"),
        ("/rules", json!("as we like"), "the text of the rules is not the one of version 1"),
        ("/secret", json!(zeros), "the secret does not have the hash that was published before the draw"),
        ("/secret_hash", json!(zeros), "the secret does not have the hash that was published before the draw"),
        ("/entry_count", json!(12), "the record says 12 entries and has 11"),
        ("/entries/2/0", json!(2), "the number of an entry is not above the one before it: 2"),
        ("/entries/2/1", json!(zeros), "the entries do not have the root that was published before the draw"),
        ("/root", json!(zeros), "the entries do not have the root that was published before the draw"),
        ("/scheme", json!("other"), "the scheme of the chain is not bls-unchained-g1-rfc9380"),
        ("/chain/period_seconds", json!(4), "the chain has the hash of quicknet and another key, genesis or period"),
        ("/round", json!(999), "the round does not come after the entries were closed"),
        ("/deadline_micros", json!(0), "the deadline is before the entries were closed"),
        ("/decided_by", json!("secret_alone"), "the secret decided alone, and there is a signature or a randomness"),
        ("/signature", json!(null), "the beacon decided, and the signature of its round is missing"),
        ("/signature", json!("0".repeat(96)), "the signature is not a point of the group of signatures"),
        ("/round", json!(1001), "the signature is not the one of this round and this chain"),
        ("/randomness", json!(zeros), "the randomness is not the SHA-256 of the signature"),
        ("/seed", json!(zeros), "the seed does not follow from the secret, the root and the randomness"),
    ];
    for (at, value, fault) in altered {
        let mut record: Value = serde_json::from_str(RECORD).unwrap();
        *record.pointer_mut(at).unwrap() = value;
        let (code, said) = verify_text(&record.to_string(), &[]);
        assert_eq!(code, 1, "{at}: {said}");
        assert!(said.contains(&format!("WRONG  {fault}\n")), "{at}: {said}");
        assert!(said.contains("\nThis record is not true: ") && !said.contains("in the order drawn"), "{said}");
    }
}

#[test]
fn a_file_that_is_no_record_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = verify(&folder.path().join("missing.json"), &[]);
    assert_eq!(code, 2);
    assert!(said.contains("cannot open"), "{said}");
    assert_eq!(verify(folder.path(), &[]).0, 2);
    for content in ["", "{}", "[]", "\u{0}", &RECORD[..RECORD.len() / 2], &RECORD.replace("b44679", "B44679")] {
        let (code, said) = verify_text(content, &[]);
        assert_eq!(code, 2, "{content}");
        assert!(said.contains("is no record of a draw"), "{said}");
    }
}
