//! Who is let in: whoever has the token, `Authorization: Bearer TOKEN`.
//!
//! Without a token a server listens on this machine alone, where whoever may connect is let in; a page
//! of a browser is not, whatever address it was told to ask: requests for another host name are
//! refused, so that no foreign page reaches the server through the browser of somebody on this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::answer::Failure;
use super::{health, page};
use crate::error::{Error, Result};

/// The shortest and the longest token, in bytes.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=4096;

/// A secret that opens a server. It is not shown by `Debug`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Reads a token from the only line of a file.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| Error::io("read the token in", path.display(), cause))?;
        let wrong = || Error::Token { path: path.display().to_string() };
        Token::new(text.trim_end_matches(['\n', '\r'])).ok_or_else(wrong)
    }

    /// Returns a token, `None` if it is too short, too long or has other than visible ASCII
    /// characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_token =
            TOKEN_BYTES.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_token.then(|| Token(text.to_owned()))
    }

    /// Returns the secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not depend on where the two differ.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        bool::from(self.0.as_bytes().ct_eq(given.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Who is let in.
#[derive(Clone, Debug)]
pub struct Access {
    token: Option<Token>,
}

impl Access {
    /// Returns who is let in by a server that listens at an address.
    ///
    /// # Errors
    /// When other machines could reach it and there is no token.
    pub fn new(address: SocketAddr, token: Option<Token>) -> Result<Self> {
        match token.is_some() || address.ip().is_loopback() {
            true => Ok(Access { token }),
            false => Err(Error::Open { address }),
        }
    }

    /// Says why a request is not let in.
    fn refusal(&self, request: &Request) -> Option<Failure> {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let Some(token) = &self.token else {
            let host = text(header::HOST).or(request.uri().authority().map(|a| a.as_str()));
            let why = "without a token only this machine is answered, by its own name";
            return (!host.is_some_and(is_local)).then(|| Failure::new(StatusCode::FORBIDDEN, why));
        };
        let given = text(header::AUTHORIZATION).and_then(|value| value.split_once(' '));
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        match given {
            Some((_, given)) if token.is(given.trim()) => None,
            Some(_) => Some(Failure::new(StatusCode::UNAUTHORIZED, "the token is wrong")),
            None => {
                let why = "a token is needed: Authorization: Bearer TOKEN";
                Some(Failure::new(StatusCode::UNAUTHORIZED, why))
            }
        }
    }
}

/// Whether a `Host` is a name of this machine for itself.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Lets a request in, or answers it.
pub(super) async fn admit(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = match request.uri().path() {
        health::PATH => None,
        path if access.token.is_some() && page::holds(path) => None,
        _ => access.refusal(&request),
    };
    match refusal {
        Some(failure) if failure.status == StatusCode::UNAUTHORIZED => {
            ([(header::WWW_AUTHENTICATE, "Bearer")], failure).into_response()
        }
        Some(failure) => failure.into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn status(access: &Access, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let mut request = Request::builder().uri("/jobs");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        access.refusal(&request.body(Body::empty()).unwrap()).map(|failure| failure.status)
    }

    #[test]
    fn a_server_that_others_can_reach_needs_a_token() {
        let (near, far) = ("127.0.0.1:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
        assert!(Access::new(near, None).is_ok());
        assert!(Access::new("[::1]:1".parse().unwrap(), None).is_ok());
        assert!(matches!(Access::new(far, None), Err(Error::Open { .. })));
        assert!(Access::new(far, Token::new(SECRET)).is_ok());
    }

    #[test]
    fn only_the_token_itself_is_let_in() {
        let access = Access { token: Token::new(SECRET) };
        let given = |value: &str| status(&access, &[("authorization", value)]);
        assert_eq!(given(&format!("Bearer {SECRET}")), None);
        assert_eq!(given(&format!("bearer  {SECRET}")), None);
        for wrong in ["", "Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Basic 0123456789abcdef"]
        {
            assert_eq!(given(wrong), Some(StatusCode::UNAUTHORIZED), "{wrong:?}");
        }
        assert_eq!(status(&access, &[]), Some(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn without_a_token_requests_for_other_names_are_refused() {
        let access = Access { token: None };
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8081", "[::1]:8081", "[::1]"] {
            assert_eq!(status(&access, &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example", "evil.example:8081", "10.0.0.1", "127.0.0.1.evil.example"] {
            assert_eq!(status(&access, &[("host", host)]), Some(StatusCode::FORBIDDEN), "{host}");
        }
        assert_eq!(status(&access, &[]), Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn a_token_is_one_line_of_visible_characters() {
        for wrong in ["", "short", "0123456789 abcdef", "0123456789\u{e9}abcdef", &"x".repeat(4097)]
        {
            assert!(Token::new(wrong).is_none(), "{wrong:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        assert!(Token::read(&path).unwrap().is(SECRET));
        std::fs::write(&path, format!("{SECRET}\n{SECRET}\n")).unwrap();
        assert!(Token::read(&path).is_err());
    }
}
