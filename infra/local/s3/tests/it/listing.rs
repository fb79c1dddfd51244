use crate::support::{BUCKET, Fixture, code, start};

async fn filled() -> Fixture {
    let it = start().await;
    for task in 0..3 {
        for chunk in 0..7 {
            it.put(&format!("t/{task}/chunk-{chunk}"), "x").await;
        }
    }
    for key in ["a", "t.txt", "z", "é"] {
        it.put(key, "x").await;
    }
    it
}

#[tokio::test]
async fn pages_hold_every_key_once_and_in_order() {
    let it = filled().await;
    let all = it.keys().await;
    assert_eq!(all.len(), 25);
    for size in [1, 2, 7, 24, 25, 1000] {
        let mut pages = it.client.list_objects_v2().bucket(BUCKET).into_paginator().page_size(size).send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.contents().len() <= usize::try_from(size).unwrap());
            assert_eq!(page.key_count(), Some(i32::try_from(page.contents().len()).unwrap()));
            keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        }
        assert_eq!(keys, all, "page size {size}");
    }
}

#[tokio::test]
async fn a_delimiter_folds_keys_into_prefixes() {
    let it = filled().await;
    for size in [1, 2, 1000] {
        let list = it.client.list_objects_v2().bucket(BUCKET).delimiter("/");
        let mut pages = list.into_paginator().page_size(size).send();
        let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
            prefixes.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
        }
        assert_eq!(
            (keys, prefixes),
            (["a", "t.txt", "z", "é"].map(str::to_owned).to_vec(), vec!["t/".to_owned()])
        );
    }
    let under = it.client.list_objects_v2().bucket(BUCKET).delimiter("/").prefix("t/").send().await.unwrap();
    let prefixes: Vec<_> = under.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!((prefixes, under.contents().len()), (vec!["t/0/", "t/1/", "t/2/"], 0));
}

#[tokio::test]
async fn a_listing_can_start_after_a_key() {
    let it = filled().await;
    let list = || it.client.list_objects_v2().bucket(BUCKET);
    let after = list().start_after("t/2/chunk-5").send().await.unwrap();
    let keys: Vec<_> = after.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["t/2/chunk-6", "z", "é"]);
    let none = list().max_keys(0).send().await.unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
    assert_eq!(code(list().continuation_token("forged").send().await), "InvalidArgument");
    let v1 = it.client.list_objects().bucket(BUCKET).delimiter("/").max_keys(2).send().await.unwrap();
    assert_eq!(v1.next_marker(), Some("t.txt"));
    let v1 = it.client.list_objects().bucket(BUCKET).delimiter("/").marker("t/").send().await.unwrap();
    let keys: Vec<_> = v1.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!((keys, v1.common_prefixes().len()), (vec!["z", "é"], 0));
}
