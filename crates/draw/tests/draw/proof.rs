//! The proof of one entry, as browsers get it.

use crate::given::{NUMBERS, assert_fixture, leaves, record, record_of, sealed, text_of};
use frontrow_draw::{DrawFacts, DrawRecord, EntryProof, ProvedEntry, entry_key, merkle_path, verify_path};

fn proof_of(record: &DrawRecord, index: usize) -> EntryProof {
    let number = NUMBERS[index];
    let path = merkle_path(&leaves(), index).unwrap();
    let rank = record.verify().unwrap().rank_of(number).unwrap();
    EntryProof {
        record: record.facts.clone(),
        entry: ProvedEntry::new(record.facts.seed, number, text_of(number), index as u64, path),
        rank: rank as u64,
        position: 14 + i64::try_from(rank).unwrap(),
    }
}

#[test]
fn a_proof_leads_from_the_text_of_an_entry_to_the_root_and_to_its_key() {
    let record = record();
    for index in 0..NUMBERS.len() {
        let EntryProof { record, entry, .. } = proof_of(&record, index);
        assert!(verify_path(entry.leaf, entry.index, record.entry_count, &entry.path, &record.root));
        assert_eq!(entry.key, entry_key(record.seed, entry.number));
    }
}

#[test]
fn the_proofs_that_the_tests_of_the_browser_read_are_those_of_this_crate() {
    let alone = record_of(DrawFacts::decided(&sealed(), None));
    for (name, record, index) in
        [("proof.json", record(), 5), ("proof-last.json", record(), 10), ("proof-secret-alone.json", alone, 0)]
    {
        let proof = proof_of(&record, index);
        let json = serde_json::to_string_pretty(&proof).unwrap();
        assert_fixture(name, &format!("{json}\n"));
        assert_eq!(serde_json::from_str::<EntryProof>(&json).unwrap(), proof);
    }
}
