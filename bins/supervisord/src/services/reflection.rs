//! gRPC server reflection, versions v1 and v1alpha: what services there are, for clients without our contracts.
//!
//! Descriptors are decoded when somebody first asks: a daemon that nobody asks does not hold them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_reflection::server::Builder;

/// What both versions tell.
#[derive(Clone)]
pub struct Reflection {
    served: Arc<[&'static str]>,
    routes: Arc<OnceLock<Routes>>,
}

impl Reflection {
    /// Of a server with these services.
    pub fn new(served: Vec<&'static str>) -> Reflection {
        Reflection { served: served.into(), routes: Arc::default() }
    }

    fn routes(&self) -> Routes {
        let builder = || {
            let builder =
                Builder::configure().register_encoded_file_descriptor_set(containerd_api::DESCRIPTORS);
            self.served.iter().fold(builder, |builder, name| builder.with_service_name(*name))
        };
        let built = self.routes.get_or_init(|| {
            let v1 = builder().build_v1().expect("descriptors made with the code are sound");
            let v1alpha = builder().build_v1alpha().expect("descriptors made with the code are sound");
            Routes::new(v1).add_service(v1alpha).prepare()
        });
        built.clone()
    }

    fn answer(&self, request: Request<Body>) -> Answered {
        let call = self.routes().call(request);
        Box::pin(call)
    }
}

type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

macro_rules! version {
    ($(#[$doc:meta])* $service:ident = $name:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $service(pub Reflection);

        impl NamedService for $service {
            const NAME: &'static str = $name;
        }

        impl Service<Request<Body>> for $service {
            type Response = Response<Body>;
            type Error = Infallible;
            type Future = Answered;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request<Body>) -> Answered {
                self.0.answer(request)
            }
        }
    };
}

version! {
    /// `grpc.reflection.v1.ServerReflection`.
    ReflectionV1 = "grpc.reflection.v1.ServerReflection"
}
version! {
    /// `grpc.reflection.v1alpha.ServerReflection`.
    ReflectionV1Alpha = "grpc.reflection.v1alpha.ServerReflection"
}
