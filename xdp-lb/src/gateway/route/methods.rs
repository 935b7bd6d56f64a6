use http::{HeaderValue, Method};

/// Methods that a route is for.
#[derive(Debug)]
pub(super) struct Methods(Box<[Method]>);

impl Methods {
    /// These; none: any. GET brings HEAD with it: who may have the answer may have its head (RFC 9110, 9.3.2).
    pub(super) fn new(methods: &[Method]) -> Self {
        let mut all = methods.to_vec();
        if let Some(place) = all.iter().position(|method| method == Method::GET)
            && !all.contains(&Method::HEAD)
        {
            all.insert(place + 1, Method::HEAD);
        }
        Self(all.into())
    }

    pub(super) fn hold(&self, method: &[u8]) -> bool {
        self.0.is_empty() || self.0.iter().any(|one| one.as_str().as_bytes() == method)
    }
}

/// What was passed over only because of the method.
#[derive(Default)]
pub(super) struct Missed {
    any: bool,
    /// The methods, where somebody wants to know.
    methods: Option<Vec<Method>>,
}

impl Missed {
    pub(super) fn gathering() -> Self {
        Self { any: false, methods: Some(Vec::new()) }
    }

    pub(super) fn add(&mut self, methods: &Methods) {
        self.any = true;
        if let Some(all) = &mut self.methods {
            for method in &methods.0 {
                if !all.contains(method) {
                    all.push(method.clone());
                }
            }
        }
    }

    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// `Allow` (RFC 9110, 10.2.1).
    pub(super) fn allow(&self) -> HeaderValue {
        let names: Vec<_> = self.methods.iter().flatten().map(Method::as_str).collect();
        // Methods are tokens.
        HeaderValue::try_from(names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}
