//! Keys that come and go, and issuers that misbehave.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use local_parties::{Issuer, Manner, Signer};
use serde_json::json;

use super::{Scene, TokenError, changed};

#[tokio::test]
async fn a_new_key_is_found_by_one_more_request_and_an_old_one_ends() {
    let mut scene = Scene::new().await;
    let old = scene.party.sign(Signer::Es256, &changed(&scene.oidc(), json!({ "exp": scene.now() + 9999 })));
    scene.try_token(&old).await.unwrap();
    scene.party.rotate(false).unwrap();
    scene.try_token(&old).await.unwrap();
    let new = scene.party.sign(Signer::Es256, &changed(&scene.oidc(), json!({ "exp": scene.now() + 9999 })));
    assert_eq!(scene.try_token(&new).await, Err(TokenError::Key), "asked a moment ago");
    scene.at += SignedDuration::from_secs(30);
    scene.try_token(&new).await.unwrap();
    assert_eq!(scene.party.asked().keys, 2);
    assert_eq!(scene.try_token(&old).await, Err(TokenError::Key));
    assert_eq!(scene.party.asked().keys, 2);
}

#[tokio::test]
async fn a_thousand_invented_keys_are_no_thousand_requests() {
    let mut scene = Scene::new().await;
    scene.try_claims(&scene.oidc()).await.unwrap();
    scene.at += SignedDuration::from_secs(60);
    for n in 0..1000 {
        let header = json!({ "alg": "ES256", "kid": format!("invented-{n}") });
        let token = scene.party.sign_as(Signer::Es256, &header, &scene.oidc());
        assert_eq!(scene.try_token(&token).await, Err(TokenError::Key));
    }
    assert_eq!(scene.party.asked().keys, 2, "the first, and one for all of them");
}

#[tokio::test]
async fn keys_are_asked_for_once_by_however_many_at_once() {
    let scene = Scene::new().await;
    let token = scene.party.sign(Signer::Rs256, &scene.oidc());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (tokens, token, at) = (scene.tokens.clone(), token.clone(), scene.at);
        all.spawn(async move { tokens.verify(&token, at).await.map(drop) });
    }
    assert!(all.join_all().await.into_iter().all(|said| said == Ok(())));
    assert_eq!((scene.party.asked().keys, scene.party.asked().discovery), (1, 1));
}

#[tokio::test]
async fn keys_are_kept_as_long_as_the_issuer_says_within_bounds_and_stale_while_it_fails() {
    for (field, fresh) in [
        ("max-age=1", 300),
        ("no-store", 300),
        ("max-age=600", 600),
        ("max-age=999999999", 86_400),
        ("", 3600),
    ] {
        let mut scene = Scene::new().await;
        scene.party.cache_control(field);
        let begin = scene.at;
        let token =
            scene.party.sign(Signer::Rs256, &changed(&scene.oidc(), json!({ "exp": scene.now() + 999_999 })));
        scene.try_token(&token).await.unwrap();
        scene.at = begin + SignedDuration::from_secs(fresh - 1);
        scene.try_token(&token).await.unwrap();
        assert_eq!(scene.party.asked().keys, 1, "{field:?}");
        scene.at = begin + SignedDuration::from_secs(fresh);
        scene.party.behave(Manner::Fails(503));
        scene.try_token(&token).await.unwrap();
        assert_eq!(scene.party.asked().discovery, 2, "{field:?}: asked again, and the old keys serve");
        scene.try_token(&token).await.unwrap();
        assert_eq!(scene.party.asked().discovery, 2, "{field:?}: not at every token");
        scene.at = begin + SignedDuration::from_secs(fresh + 86_400);
        assert_eq!(scene.try_token(&token).await, Err(TokenError::Unreachable), "{field:?}: not for ever");
    }
}

#[tokio::test]
async fn an_issuer_that_misbehaves_costs_little_time_and_lets_nobody_in() {
    let stranger = Issuer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let secret_free =
        json!({ "keys": [{ "kty": "oct", "kid": "ec-0", "k": "c2VjcmV0", "alg": "HS256" }] }).to_string();
    for (manner, said) in [
        (Manner::Hangs, TokenError::Unreachable),
        (Manner::Drips(Duration::from_millis(200)), TokenError::Unreachable),
        (Manner::Long(10_000_000), TokenError::Unreachable),
        (Manner::Fails(500), TokenError::Unreachable),
        (Manner::Fails(404), TokenError::Unreachable),
        (Manner::Redirects(stranger.keys_url()), TokenError::Unreachable),
        (Manner::Says("not JSON".into()), TokenError::Unreachable),
        (Manner::Says("[]".into()), TokenError::Unreachable),
        (Manner::Says(r#"{"keys":7}"#.into()), TokenError::Unreachable),
        (Manner::Says(r#"{"keys":[]}"#.into()), TokenError::Key),
        (
            Manner::Says(r#"{"keys":[7,{},{"kty":"RSA","kid":"ec-0","n":"AQAB","e":"AQAB"}]}"#.into()),
            TokenError::Key,
        ),
        (Manner::Says(secret_free), TokenError::Key),
    ] {
        let scene = Scene::new().await;
        scene.party.behave(manner.clone());
        // Of an issuer whose keys are at a fixed address, and of one with discovery.
        let begun = Instant::now();
        let token = scene.party.sign(Signer::Es256, &scene.supabase());
        assert_eq!(scene.try_token(&token).await, Err(said), "{manner:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{manner:?} took {:?}", begun.elapsed());
        let begun = Instant::now();
        for _ in 0..3 {
            let token = scene.party.sign(Signer::Es256, &scene.oidc());
            assert_eq!(scene.try_token(&token).await, Err(TokenError::Unreachable), "{manner:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{manner:?} took {:?}", begun.elapsed());
        let asked = scene.party.asked();
        assert!(asked.keys + asked.discovery <= 3, "{manner:?} {asked:?}");
    }
    assert_eq!(stranger.asked(), local_parties::Asked::default(), "no redirect is followed");
    let scene = Scene::new().await;
    scene.party.behave(Manner::NamesAnother);
    assert_eq!(scene.try_claims(&scene.oidc()).await, Err(TokenError::Unreachable));
}

#[tokio::test]
async fn after_a_failure_the_next_try_comes_in_seconds() {
    let mut scene = Scene::new().await;
    scene.party.behave(Manner::Fails(500));
    let token = scene.party.sign(Signer::Rs256, &scene.oidc());
    assert_eq!(scene.try_token(&token).await, Err(TokenError::Unreachable));
    scene.party.behave(Manner::Normal);
    assert_eq!(scene.try_token(&token).await, Err(TokenError::Unreachable));
    scene.at += SignedDuration::from_secs(5);
    scene.try_token(&token).await.unwrap();
}
