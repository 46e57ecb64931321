//! The tree over the entries.

use frontrow_draw::{Digest, HexBytes, MerkleTree, RootBuilder, leaf_of, merkle_path, merkle_root, verify_path};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

fn leaves(count: usize) -> Vec<Digest> {
    (0..count).map(|number| leaf_of(&number.to_string())).collect()
}

fn sha256(bytes: &[u8]) -> Digest {
    HexBytes::new(Sha256::digest(bytes).into())
}

/// The definition of RFC 9162, 2.1.1, word for word.
fn root_by_definition(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(largest_power_below(leaves.len()));
            let (left, right) = (root_by_definition(left), root_by_definition(right));
            sha256(&[&[1], left.as_ref(), right.as_ref()].concat())
        }
    }
}

/// The definition of RFC 9162, 2.1.3.1.
fn path_by_definition(leaves: &[Digest], index: usize) -> Vec<Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = largest_power_below(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, sibling) = if index < middle {
        (path_by_definition(left, index), root_by_definition(right))
    } else {
        (path_by_definition(right, index - middle), root_by_definition(left))
    };
    path.push(sibling);
    path
}

fn largest_power_below(count: usize) -> usize {
    count.next_power_of_two() / 2
}

#[test]
fn the_roots_are_those_that_rfc_6962_implementations_make() {
    // The leaves and roots of the tests of Certificate Transparency.
    let leaves: Vec<_> =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
            .iter()
            .map(|hex| {
                let bytes: Vec<u8> =
                    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
                sha256(&[&[0][..], &bytes].concat())
            })
            .collect();
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (count, root) in roots.iter().enumerate() {
        assert_eq!(merkle_root(&leaves[..count]).to_string(), *root, "{count} leaves");
    }
}

#[test]
fn every_path_of_every_small_tree_leads_to_its_root() {
    for count in 1..=70 {
        let leaves = leaves(count);
        let (tree, root) = (MerkleTree::new(leaves.clone()), merkle_root(&leaves));
        assert_eq!(root, root_by_definition(&leaves));
        assert_eq!(tree.root(), root);
        for (index, leaf) in leaves.iter().enumerate() {
            let path = tree.path(index).unwrap();
            assert_eq!(path, path_by_definition(&leaves, index), "{index} of {count}");
            assert_eq!(merkle_path(&leaves, index).as_ref(), Some(&path));
            assert!(verify_path(*leaf, index as u64, count as u64, &path, &root), "{index} of {count}");
        }
        assert_eq!(tree.path(count), None);
        assert_eq!(tree.path(usize::MAX), None);
    }
}

#[test]
fn leaves_that_come_one_at_a_time_make_the_same_root() {
    let leaves = leaves(1_000);
    let mut builder = RootBuilder::new();
    for count in 0..leaves.len() {
        assert_eq!(builder.count(), count as u64);
        assert_eq!(builder.root(), merkle_root(&leaves[..count]));
        builder.push(leaves[count]);
    }
    assert_eq!(builder.root(), MerkleTree::new(leaves).root());
}

#[test]
fn no_leaves_have_the_hash_of_nothing_and_no_path() {
    assert_eq!(MerkleTree::new(Vec::new()).root(), sha256(&[]));
    assert_eq!(merkle_path(&[], 0), None);
    assert!(!verify_path(leaf_of(""), 0, 0, &[], &sha256(&[])));
}

#[test]
fn a_path_is_good_for_one_index_alone() {
    for count in 1..=40 {
        let leaves = leaves(count);
        let tree = MerkleTree::new(leaves.clone());
        for (index, leaf) in leaves.iter().enumerate() {
            let path = tree.path(index).unwrap();
            for other in (0..count + 3).filter(|other| *other != index) {
                assert!(!verify_path(*leaf, other as u64, count as u64, &path, &tree.root()), "{other} for {index}");
            }
        }
    }
}

proptest! {
    #[test]
    fn an_altered_leaf_path_or_root_is_refused(
        (count, index) in (1_usize..=70).prop_flat_map(|count| (Just(count), 0..count)),
        at: prop::sample::Index,
        bit in 0_usize..256,
    ) {
        let leaves = leaves(count);
        let tree = MerkleTree::new(leaves.clone());
        let (leaf, path, root) = (leaves[index], tree.path(index).unwrap(), tree.root());
        let verify = |leaf, path: &[Digest], root| verify_path(leaf, index as u64, count as u64, path, &root);
        prop_assert!(verify(leaf, &path, root));
        prop_assert!(!verify(flipped(leaf, bit), &path, root));
        prop_assert!(!verify(leaf, &path, flipped(root, bit)));
        prop_assert!(!verify(leaf, &[&path[..], &[leaf]].concat(), root), "a longer path");
        if !path.is_empty() {
            let at = at.index(path.len());
            let mut altered = path.clone();
            altered[at] = flipped(altered[at], bit);
            prop_assert!(!verify(leaf, &altered, root));
            altered.remove(at);
            prop_assert!(!verify(leaf, &altered, root), "a shorter path");
        }
    }

    #[test]
    fn any_path_is_read_without_a_panic(index: u64, count: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..130)) {
        let path: Vec<_> = path.into_iter().map(HexBytes::new).collect();
        prop_assert!(!verify_path(leaf_of("1"), index, count, &path, &leaf_of("2")));
    }
}

fn flipped(digest: Digest, bit: usize) -> Digest {
    let mut bytes = *digest.bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    HexBytes::new(bytes)
}
