//! A running stack.

mod environment;
mod pollers;
mod ports;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use local_gate::{Gate, GateOptions, Policy, Principal, Service};
use local_lambda::{Cors, Front, FrontOptions, FunctionSpec, Lambda, LambdaOptions, Route};
use local_parties::payfast::PayFast;
use local_parties::{Behaviour, DnsServer, Issuer, Paddle, SesServer, SmtpServer, Zone};

use crate::cloud::Cloud;
use crate::data::Data;
use crate::functions::binary_folder;
use crate::options::{Resolver, StackOptions};
use crate::services::Services;
use crate::services::objects::Objects;
use crate::services::sqs::Sqs;
use crate::sources::{Invoker, schedule};
use crate::template::model::{Model, ResourceId, Site, SourceKind, Templates};
use crate::traces::{self, Spans};
use crate::{ACCOUNT_ID, Error, REGION};
use environment::environment;
pub(crate) use environment::{STACK_KEY, credentials};
use pollers::{Pollers, sandboxes};
pub use ports::Endpoints;
use ports::{Ports, SERVICES, url};

/// Prefix of generated names, and `AWS::StackName` of the root.
pub(crate) const STACK_NAME: &str = "piecework";
/// Invocations in progress may take this long to finish when the stack stops.
const GRACE: Duration = Duration::from_secs(3);

/// A running stack. [`Stack::stop`] lets work in progress end. Dropping it ends the triggers at once, and the
/// sandboxes as soon as nothing runs in them.
pub struct Stack {
    base_url: String,
    endpoints: Endpoints,
    model: Model,
    options: StackOptions,
    pollers: Pollers,
    front: Option<Front>,
    invoker: Option<Invoker>,
    lambda: Lambda,
    gate: Gate,
    parties: Option<Parties>,
    issuer: Issuer,
    ses: SesServer,
    paddle: Paddle,
    payfast: PayFast,
    services: Services,
    // Last, so that the folder and its lock outlive all that writes there.
    data: Data,
}

impl Stack {
    /// Reads the templates, starts the services, makes what is declared, and starts the functions' triggers.
    /// The binaries must have been built.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(options: StackOptions) -> Result<Self, Error> {
        let data = Data::open(&options.data)?;
        let templates = Templates::load(&options.root.join("template.yaml"), STACK_NAME)?;
        let ports = Ports::bind(&options).await?;
        let mut endpoints = ports.endpoints()?;
        let api = url(&ports.front)?;
        let mut site = Site {
            stack_name: STACK_NAME.to_owned(),
            region: REGION.to_owned(),
            account_id: ACCOUNT_ID.to_owned(),
            sqs_endpoint: endpoints.sqs.clone(),
            api_endpoint: api,
            assigned: BTreeMap::new(),
            parameters: options.parameters.clone(),
        };
        // Once without the ids that only a service can give, to learn what to ask for, and once with them.
        let draft = templates.model(&site)?;
        let specs = binaries(&draft, &options)?;

        let mut services = Services::start(&options, &data, credentials(STACK_KEY)).await?;
        site.assigned = services.assign(&draft).await?;
        let model = templates.model(&site)?;
        let keys = model.functions.iter().map(|f| f.name.as_str()).chain([STACK_KEY]).map(credentials);
        let gate = gate(&model, &options)?;
        services.ensure(&model, keys.collect(), &data, &gate).await?;
        let listeners = [ports.dynamodb, ports.s3, ports.sqs, ports.kms];
        for ((listener, service), upstream) in listeners.into_iter().zip(SERVICES).zip(services.upstreams()) {
            gate.serve(listener, service, upstream);
        }

        let ses = SesServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), &data.join("mail")).await?;
        gate.serve(ports.ses, Service::Ses, ses.addr());

        let parties = match options.resolver {
            Resolver::StandIn => Some(Parties::start(options.host).await?),
            Resolver::System => None,
        };
        endpoints.dns = parties.as_ref().map(|p| p.dns.addr().to_string());
        endpoints.smtp = parties.as_ref().map(|p| p.smtp.addr().to_string());
        let issuer = Issuer::start(SocketAddr::from((options.host, 0))).await?;
        endpoints.issuer = issuer.url().to_owned();
        let paddle = Paddle::start(SocketAddr::from((options.host, 0))).await?;
        endpoints.paddle = paddle.url().to_owned();
        let payfast = PayFast::start(SocketAddr::from((options.host, 0))).await?;
        endpoints.payfast = payfast.url().to_owned();

        let functions = model.functions.iter().filter_map(|f| {
            let binary = specs.get(&f.name)?.clone();
            Some(FunctionSpec {
                name: f.name.clone(),
                binary,
                env: environment(f, &endpoints, &options),
                memory_mb: f.memory_mb,
                timeout: f.timeout,
                max_concurrency: sandboxes(f.reserved_concurrency, &options),
            })
        });
        let lambda_options = LambdaOptions {
            log: match options.traces {
                true => Arc::new(Spans::to(&data.join(traces::FILE), options.log.clone())?),
                false => options.log.clone(),
            },
            account_id: ACCOUNT_ID.to_owned(),
            region: REGION.to_owned(),
            scratch: data.join("sandboxes"),
            issue: services.issue(roles(&model), {
                let gate = gate.clone();
                move |access_key, function| gate.admit(access_key, function)
            }),
        };
        let lambda = Lambda::start(ports.lambda, functions.collect(), lambda_options).await?;
        let sandboxes = lambda.clone();
        gate.kill_with(Arc::new(move |session| sandboxes.kill_session(session)));
        let front = match options.functions {
            true => Some(Front::start(ports.front, lambda.clone(), front_options(&model)).await?),
            false => None,
        };
        let invoker = match (options.functions, &options.lambda_endpoint) {
            (true, _) => Some(Invoker::Sandboxes(lambda.clone())),
            (false, Some(endpoint)) => {
                Some(Invoker::Remote { endpoint: endpoint.clone(), client: reqwest::Client::new() })
            }
            (false, None) => None,
        };
        let pollers = match &invoker {
            Some(invoker) => Pollers::start(&model, &options, &data, &services, invoker, &gate)?,
            None => Pollers::default(),
        };
        let base_url = match &front {
            Some(front) => front.base_url(),
            None => options.lambda_endpoint.clone().unwrap_or_default(),
        };
        paddle.notify(&format!("{base_url}/v1/webhooks/paddle"));
        Ok(Self {
            base_url,
            endpoints,
            model,
            options,
            pollers,
            front,
            invoker,
            lambda,
            gate,
            parties,
            issuer,
            ses,
            paddle,
            payfast,
            services,
            data,
        })
    }

    /// Where the HTTP API answers, without a slash at the end. Without functions: where they are called, or empty.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Where the services answer.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The Lambda service: invoke, look at sandboxes, kill them.
    pub fn lambda(&self) -> &Lambda {
        &self.lambda
    }

    /// What stands between functions and services: denials, costs, faults.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The queues. A queue's name serves where its URL does.
    pub fn sqs(&self) -> &Sqs {
        &self.services.sqs
    }

    /// What is in the buckets.
    pub fn objects(&self) -> &Objects {
        &self.services.objects
    }

    /// The DNS stand-in, if functions use it.
    pub fn dns(&self) -> Option<&DnsServer> {
        self.parties.as_ref().map(|p| &p.dns)
    }

    /// The SMTP stand-in, if functions use it.
    pub fn smtp(&self) -> Option<&SmtpServer> {
        self.parties.as_ref().map(|p| &p.smtp)
    }

    /// Paddle's stand-in, which notifies this stack.
    pub fn paddle(&self) -> &Paddle {
        &self.paddle
    }

    /// The identity provider's stand-in. `identity` says which issuers it stands for.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The mails that functions sent since the data folder is there, oldest first.
    ///
    /// # Errors
    /// If their folder cannot be read.
    pub fn mails(&self) -> std::io::Result<Vec<String>> {
        self.ses.mails()
    }

    /// PayFast's stand-in.
    pub fn payfast(&self) -> &PayFast {
        &self.payfast
    }

    /// What the templates say.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// A table's name by logical id, or `Nested/LogicalId` where that is not unique.
    ///
    /// # Errors
    /// If there is none or more than one.
    pub fn table(&self, logical: &str) -> Result<&str, Error> {
        Ok(&only(&self.model.tables, |t| &t.id, logical)?.name)
    }

    /// A bucket's name, likewise.
    ///
    /// # Errors
    /// If there is none or more than one.
    pub fn bucket(&self, logical: &str) -> Result<&str, Error> {
        Ok(&only(&self.model.buckets, |b| &b.id, logical)?.name)
    }

    /// A queue's URL, likewise.
    ///
    /// # Errors
    /// If there is none or more than one.
    pub fn queue_url(&self, logical: &str) -> Result<String, Error> {
        let queue = only(&self.model.queues, |q| &q.id, logical)?;
        Ok(format!("{}/{ACCOUNT_ID}/{}", self.endpoints.sqs, queue.name))
    }

    /// The environment of a function, for code that wants to see what it sees. Empty if there is no such function.
    pub fn function_env(&self, name: &str) -> BTreeMap<String, String> {
        let function = self.model.function(name);
        function.map(|f| environment(f, &self.endpoints, &self.options)).unwrap_or_default()
    }

    /// Access key and secret of the stack itself, for clients that are no function.
    pub fn credentials(&self) -> (String, String) {
        credentials(STACK_KEY)
    }

    /// Runs the first schedule of a function now and waits for it.
    ///
    /// # Errors
    /// If it has none, or the run fails.
    pub async fn run_schedule(&self, function: &str) -> Result<bytes::Bytes, Error> {
        let missing = || Error::NoResource(format!("schedule of {function}"));
        let source =
            self.model.sources.iter().filter(|s| s.function == function).find_map(|s| match &s.kind {
                SourceKind::Schedule(schedule) => Some(schedule),
                _ => None,
            });
        let event = schedule::event(source.ok_or_else(missing)?, jiff::Timestamp::now());
        let invoker = self.invoker.as_ref().ok_or_else(missing)?;
        Ok(invoker.invoke(function, &event).await?)
    }

    /// Ends the triggers, then the functions, then the services.
    pub async fn stop(self) {
        self.pollers.stop(GRACE).await;
        if let Some(front) = self.front {
            front.shutdown().await;
        }
        self.lambda.shutdown().await;
        self.gate.shutdown().await;
        self.services.stop().await;
        self.issuer.shutdown().await;
        self.ses.shutdown().await;
        self.paddle.shutdown().await;
        self.payfast.shutdown().await;
        if let Some(parties) = self.parties {
            parties.dns.shutdown().await;
            parties.smtp.shutdown().await;
        }
    }
}

/// The role of each function, by its name.
fn roles(model: &Model) -> BTreeMap<String, String> {
    let role = |id: &ResourceId| format!("{}-{}Role", id.stack, id.logical);
    model.functions.iter().map(|f| (f.name.clone(), role(&f.id))).collect()
}

/// A gate with the policies of every function.
fn gate(model: &Model, options: &StackOptions) -> Result<Gate, Error> {
    let roles = roles(model);
    let principals = model.functions.iter().map(|function| {
        let id = &function.id;
        let policy = Policy::read(&function.policies)
            .map_err(|e| Error::Resource { id: id.to_string(), reason: e.to_string() })?;
        Ok(Principal {
            name: function.name.clone(),
            access_key: credentials(&function.name).0,
            role_arn: format!("arn:aws:iam::{ACCOUNT_ID}:role/{}", roles[&function.name]),
            policy,
        })
    });
    Ok(Gate::new(GateOptions {
        principals: principals.collect::<Result<_, Error>>()?,
        region: REGION.to_owned(),
        account_id: ACCOUNT_ID.to_owned(),
        // The embedded queues have it themselves.
        visibility_cap: options.visibility_cap.filter(|_| options.cloud != Cloud::Embedded),
    }))
}

/// Outside parties.
struct Parties {
    dns: DnsServer,
    smtp: SmtpServer,
}

impl Parties {
    async fn start(host: IpAddr) -> Result<Self, Error> {
        let any = SocketAddr::from((host, 0));
        let (dns, smtp) = tokio::try_join!(
            DnsServer::start(any, Zone::demo()?),
            SmtpServer::start(any, Behaviour::demo())
        )?;
        Ok(Self { dns, smtp })
    }
}

fn front_options(model: &Model) -> FrontOptions {
    let routes = model.routes.iter().map(|r| Route {
        method: r.method.clone(),
        path: r.path.clone(),
        function: r.function.clone(),
        timeout: r.timeout,
    });
    let cors = model.cors.as_ref().map(|c| Cors {
        allow_origins: c.allow_origins.clone(),
        allow_methods: c.allow_methods.clone(),
        allow_headers: c.allow_headers.clone(),
        expose_headers: c.expose_headers.clone(),
        max_age: c.max_age,
        allow_credentials: c.allow_credentials,
    });
    FrontOptions {
        routes: routes.collect(),
        cors,
        api_id: "local".to_owned(),
        stage: "$default".to_owned(),
        account_id: ACCOUNT_ID.to_owned(),
    }
}

/// What a function runs that is not there.
const ABSENT: &str = "/bin/false";

/// The binary of every function, or none at all if functions do not run here.
fn binaries(model: &Model, options: &StackOptions) -> Result<BTreeMap<String, PathBuf>, Error> {
    if !options.functions {
        return Ok(BTreeMap::new());
    }
    for name in options.only.iter().flatten() {
        if !model.functions.iter().any(|f| f.name == *name) {
            return Err(Error::NoResource(name.clone()));
        }
    }
    let folder = binary_folder(&options.root, options.profile);
    let found = model.functions.iter().map(|f| {
        if options.only.as_ref().is_some_and(|only| !only.contains(&f.name)) {
            return Ok((f.name.clone(), ABSENT.into()));
        }
        let path = options.binaries.get(&f.name).cloned().unwrap_or_else(|| folder.join(&f.name));
        match path.is_file() {
            true => Ok((f.name.clone(), path)),
            false => Err(Error::NoBinary { name: f.name.clone(), path }),
        }
    });
    found.collect()
}

fn only<'a, T>(items: &'a [T], id: impl Fn(&T) -> &ResourceId, logical: &str) -> Result<&'a T, Error> {
    let wanted = |item: &&T| {
        let id = id(item);
        match logical.split_once('/') {
            None => id.logical == logical,
            Some((stack, logical)) => {
                id.logical == logical && (id.stack == stack || id.stack.ends_with(&format!("-{stack}")))
            }
        }
    };
    let mut found = items.iter().filter(wanted);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Error::NoResource(logical.to_owned())),
    }
}
