#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;

fn newest_note(folder: &Path) -> Option<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("snap.")).max()
}

fn put(store: &Store, key: u8) {
    let mut batch = Batch::default();
    batch.put(&[key], &[key; 1000]);
    store.apply(Space::Log, batch).unwrap();
}

#[test]
fn what_was_written_need_not_be_read_again_once_the_store_was_refreshed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap();
    (0..100).for_each(|key| put(&store, key));
    let before = newest_note(&path);
    store.refresh(1_000_000).unwrap();
    assert_eq!(newest_note(&path), before, "too little was written");

    let mut reading = store.prefix(Space::Log, b"");
    assert_eq!(&*reading.next().unwrap().unwrap().0, [0]);
    store.refresh(100_000).unwrap();
    assert_eq!(newest_note(&path), before, "somebody reads");
    assert_eq!(reading.count(), 99);

    store.refresh(100_000).unwrap();
    let after = newest_note(&path);
    assert!(after > before);
    store.refresh(100_000).unwrap();
    put(&store, 100);
    assert_eq!(newest_note(&path), after, "nothing was written since");
    assert_eq!(
        store.prefix(Space::Log, b"").map(|item| item.unwrap().0[0]).collect::<Vec<_>>(),
        (0..=100).collect::<Vec<_>>()
    );
    store.close();
    assert_eq!(Store::open(&path).unwrap().get(Space::Log, &[100]).unwrap().unwrap().len(), 1000);
}
