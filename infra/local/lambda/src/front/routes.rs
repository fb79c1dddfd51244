//! Routes and which of them a request takes.

use crate::Error;
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

/// Largest integration timeout of an HTTP API.
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// The methods an HTTP API route may have.
const METHODS: [&str; 8] = ["ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// A route of the API and the function behind it.
#[derive(Clone, Debug)]
pub struct Route {
    /// `GET`, `POST`, … or `ANY`. Not used with `$default`.
    pub method: String,
    /// `/v1/tasks/{id}`, greedy `/files/{proxy+}`, or `$default`.
    pub path: String,
    /// Function name.
    pub function: String,
    /// Integration timeout; 30 s at most.
    pub timeout: Duration,
}

/// Ordered so that the more specific is less.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Fixed(String),
    Parameter(String),
    Greedy(String),
}

/// A route ready to match.
#[derive(Debug)]
pub(super) struct Target {
    /// `GET /v1/tasks/{id}` or `$default`.
    pub key: String,
    pub function: String,
    pub timeout: Duration,
    /// None is any method.
    method: Option<String>,
    /// None is `$default`.
    segments: Option<Vec<Segment>>,
}

impl Target {
    /// Full matches come before greedy ones and both before `$default` (API Gateway guide, "Create routes for HTTP
    /// APIs"); among them the fixed segment before the parameter, and the method before ANY.
    fn rank(&self) -> (u8, Vec<u8>, bool) {
        let Some(segments) = &self.segments else { return (2, Vec::new(), true) };
        let rank = |segment: &Segment| match segment {
            Segment::Fixed(_) => 0,
            Segment::Parameter(_) => 1,
            Segment::Greedy(_) => 2,
        };
        let greedy = matches!(segments.last(), Some(Segment::Greedy(_)));
        (u8::from(greedy), segments.iter().map(rank).collect(), self.method.is_none())
    }

    /// The key without parameter names: two routes that differ only in them conflict.
    fn shape(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Fixed(text) => text.clone(),
            Segment::Parameter(_) => "{}".to_owned(),
            Segment::Greedy(_) => "{+}".to_owned(),
        };
        let path = self.segments.as_ref().map(|s| s.iter().map(segment).collect::<Vec<_>>().join("/"));
        format!("{:?} {path:?}", self.method)
    }

    /// The path parameters, if the path (split) fits.
    fn fit(&self, path: &[&str]) -> Option<BTreeMap<String, String>> {
        let mut parameters = BTreeMap::new();
        let Some(segments) = &self.segments else { return Some(parameters) };
        for (at, segment) in segments.iter().enumerate() {
            match segment {
                Segment::Fixed(text) => (*path.get(at)? == text).then_some(())?,
                Segment::Parameter(name) => {
                    let value = path.get(at).filter(|value| !value.is_empty())?;
                    parameters.insert(name.clone(), (*value).to_owned());
                }
                Segment::Greedy(name) => {
                    let rest = path.get(at..)?.join("/");
                    (!rest.is_empty()).then(|| parameters.insert(name.clone(), rest))?;
                    return Some(parameters);
                }
            }
        }
        (segments.len() == path.len()).then_some(parameters)
    }
}

/// All routes, the most specific first.
#[derive(Debug)]
pub(super) struct Routes(Vec<Target>);

impl Routes {
    pub fn new(routes: Vec<Route>, known: impl Fn(&str) -> bool) -> Result<Self, Error> {
        let mut targets = Vec::new();
        let mut shapes = HashSet::new();
        for route in routes {
            let target = parse(route)?;
            if !known(&target.function) {
                return Err(Error::UnknownFunction { route: target.key, function: target.function });
            }
            if !shapes.insert(target.shape()) {
                return Err(Error::DuplicateRoute(target.key));
            }
            targets.push(target);
        }
        targets.sort_by_cached_key(Target::rank);
        Ok(Self(targets))
    }

    /// The route for a method and a decoded path, with its path parameters. No match, also for a wrong method, is
    /// 404 in an HTTP API.
    pub fn find(&self, method: &str, path: &str) -> Option<(&Target, BTreeMap<String, String>)> {
        let path: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let takes = |target: &&Target| target.method.as_deref().is_none_or(|m| m == method);
        self.0.iter().filter(takes).find_map(|target| Some((target, target.fit(&path)?)))
    }
}

fn parse(route: Route) -> Result<Target, Error> {
    let default = route.path == "$default";
    let method = route.method.to_ascii_uppercase();
    let key = if default { route.path.clone() } else { format!("{method} {}", route.path) };
    let bad = |reason| Error::BadRoute { route: key.clone(), reason };
    if route.timeout > MAX_TIMEOUT || route.timeout < Duration::from_millis(50) {
        return Err(bad("the integration timeout of an HTTP API is 50 ms to 30 s"));
    }
    let segments = if default {
        None
    } else {
        if !METHODS.contains(&method.as_str()) {
            return Err(bad("the method is not one an HTTP API has"));
        }
        let path = route.path.strip_prefix('/').ok_or_else(|| bad("the path does not begin with /"))?;
        let mut segments = Vec::new();
        for text in path.split('/') {
            if matches!(segments.last(), Some(Segment::Greedy(_))) {
                return Err(bad("nothing may follow a greedy parameter"));
            }
            let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
            segments.push(match inner.map(|name| (name, name.strip_suffix('+'))) {
                Some(("" | "+", _)) => return Err(bad("a parameter has no name")),
                Some((_, Some(name))) => Segment::Greedy(name.to_owned()),
                Some((name, None)) => Segment::Parameter(name.to_owned()),
                None if text.contains(['{', '}']) => return Err(bad("a parameter is a whole segment")),
                None => Segment::Fixed(text.to_owned()),
            });
        }
        Some(segments)
    };
    let method = (!default && method != "ANY").then_some(method);
    Ok(Target { key, function: route.function, timeout: route.timeout, method, segments })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[&str]) -> Result<Routes, Error> {
        let route = |key: &&str| {
            let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
            Route { method: method.into(), path: path.into(), function: "f".into(), timeout: MAX_TIMEOUT }
        };
        Routes::new(keys.iter().map(route).collect(), |function| function == "f")
    }

    #[test]
    fn the_guides_own_example_routes_as_it_says() {
        let routes = routes(&[
            "$default",
            "ANY /{proxy+}",
            "GET /pets/{proxy+}",
            "GET /pets/dog/{id}",
            "GET /pets/dog/1",
            "ANY /pets/dog/1",
            "POST /{a}/{b}",
        ])
        .unwrap();
        let key = |method: &str, path: &str| routes.find(method, path).map(|(t, p)| (t.key.as_str(), p));
        let parameters =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        assert_eq!(key("GET", "/pets/dog/1"), Some(("GET /pets/dog/1", parameters(&[]))));
        assert_eq!(key("PUT", "/pets/dog/1"), Some(("ANY /pets/dog/1", parameters(&[]))));
        assert_eq!(key("GET", "/pets/dog/2"), Some(("GET /pets/dog/{id}", parameters(&[("id", "2")]))));
        assert_eq!(
            key("GET", "/pets/cat/1"),
            Some(("GET /pets/{proxy+}", parameters(&[("proxy", "cat/1")])))
        );
        assert_eq!(key("POST", "/test/5"), Some(("POST /{a}/{b}", parameters(&[("a", "test"), ("b", "5")]))));
        assert_eq!(key("GET", "/test/5"), Some(("ANY /{proxy+}", parameters(&[("proxy", "test/5")]))));
        assert_eq!(key("GET", "/"), Some(("$default", parameters(&[]))));
    }

    #[test]
    fn without_a_default_route_a_wrong_method_or_path_finds_nothing() {
        let routes = routes(&["GET /v1/tasks/{id}", "GET /"]).unwrap();
        assert!(routes.find("GET", "/").is_some());
        for (method, path) in [
            ("POST", "/v1/tasks/1"),
            ("HEAD", "/v1/tasks/1"),
            ("GET", "/v1/tasks/"),
            ("GET", "/v1/tasks"),
            ("GET", "/v1/tasks/1/"),
            ("GET", "/v1/tasks/1/2"),
            ("GET", "//v1/tasks/1"),
        ] {
            assert!(routes.find(method, path).is_none(), "{method} {path}");
        }
    }

    #[test]
    fn routes_that_api_gateway_would_not_take_are_refused() {
        for keys in [
            &["FETCH /a"][..],
            &["GET a"],
            &["GET /{}"],
            &["GET /{a+}/b"],
            &["GET /a{b}"],
            &["GET /{a}", "GET /{b}"],
        ] {
            assert!(routes(keys).is_err(), "{keys:?}");
        }
        let route = |function: &str, timeout| Route {
            method: "GET".into(),
            path: "/".into(),
            function: function.into(),
            timeout,
        };
        assert!(Routes::new(vec![route("f", Duration::from_secs(31))], |_| true).is_err());
        assert!(Routes::new(vec![route("g", MAX_TIMEOUT)], |f| f == "f").is_err());
    }
}
