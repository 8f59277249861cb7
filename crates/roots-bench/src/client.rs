//! A keep-alive HTTP/1.1 connection of hyper, without a pool or redirects: a client that costs
//! little leaves more of the machine to the server.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("no complete response: {0}")]
    Http(#[from] hyper::Error),
    #[error("the server closed the connection before the response was complete")]
    Closed,
    #[error("no response began: {0}")]
    NoResponse(Box<Self>),
    #[error("this is no valid request: {0}")]
    InvalidRequest(#[from] hyper::http::Error),
    #[error("{path} returned {status}: {body}")]
    UnexpectedStatus { path: String, status: StatusCode, body: String },
    #[error("{path} returned no JSON: {cause}")]
    NotJson { path: String, cause: serde_json::Error },
}

/// A request, as it is passed to the load generator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RequestSpec {
    pub(crate) method: String,
    /// The path, with its query.
    pub(crate) path: String,
    /// The API key, if the request needs one.
    pub(crate) key: Option<String>,
    /// The body: JSON, unless another `content-type` is among the headers.
    pub(crate) body: Option<String>,
    /// Headers besides those of the key and the body.
    pub(crate) headers: Vec<(String, String)>,
}

impl RequestSpec {
    /// Gets `path` without a key.
    pub(crate) fn get(path: String) -> Self {
        Self { method: Method::GET.to_string(), path, key: None, body: None, headers: Vec::new() }
    }

    /// The request in hyper's form, which clones cheaply.
    ///
    /// # Errors
    /// The method, the path, the key or another header is not valid in HTTP.
    pub(crate) fn to_http(&self) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.path)
            .header(HOST, HeaderValue::from_static("localhost"));
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        let is_typed = self.headers.iter().any(|(name, _)| name == CONTENT_TYPE.as_str());
        if self.body.is_some() && !is_typed {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::from(self.body.clone().unwrap_or_default()))
    }
}

/// A complete response.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An open connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    connection: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// The server refuses the connection.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, ClientError> {
        Self::open_from(address, None).await
    }

    /// Connects from the local address `from`, if one is given.
    ///
    /// # Errors
    /// The server refuses the connection, or `from` is no address of this machine.
    pub(crate) async fn open_from(
        address: SocketAddr,
        from: Option<IpAddr>,
    ) -> Result<Self, ClientError> {
        let stream = match from {
            None => TcpStream::connect(address).await?,
            Some(from) => {
                let socket = match from {
                    IpAddr::V4(_) => TcpSocket::new_v4()?,
                    IpAddr::V6(_) => TcpSocket::new_v6()?,
                };
                socket.bind(SocketAddr::new(from, 0))?;
                socket.connect(address).await?
            }
        };
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, connection })
    }

    /// Sends a request and returns the complete response.
    ///
    /// # Errors
    /// The response is missing or cut short; [`ClientError::NoResponse`] if not even its head
    /// arrived. The connection can't be used again.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response, ClientError> {
        let Self { sender, connection } = self;
        let has_begun = AtomicBool::new(false);
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            has_begun.store(true, Ordering::Relaxed);
            let body = read_body(body).await?;
            sender.ready().await?;
            Ok(Response { status: head.status, headers: head.headers, body })
        };
        drive(connection, exchange).await.map_err(|error| {
            if has_begun.load(Ordering::Relaxed) {
                error
            } else {
                ClientError::NoResponse(Box::new(error))
            }
        })
    }

    /// Sends a request, discards the body of the response and returns its status.
    ///
    /// # Errors
    /// The response is missing or cut short. The connection can't be used again.
    pub(crate) async fn send_and_discard(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<StatusCode, ClientError> {
        let Self { sender, connection } = self;
        let exchange = async {
            let (head, mut body) = sender.send_request(request).await?.into_parts();
            while let Some(frame) = body.frame().await {
                frame?;
            }
            sender.ready().await?;
            Ok(head.status)
        };
        drive(connection, exchange).await
    }

    /// Sends a request whose response ends only with its stream, and hands on each piece of its
    /// body until the server ends it.
    ///
    /// # Errors
    /// The response is no success, or is cut. The connection can't be used again.
    pub(crate) async fn follow(
        &mut self,
        spec: &RequestSpec,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ClientError> {
        let request = spec.to_http()?;
        let Self { sender, connection } = self;
        let exchange = async {
            let (head, mut body) = sender.send_request(request).await?.into_parts();
            if !head.status.is_success() {
                let body = read_body(body).await?;
                return Err(unexpected(spec, head.status, &body));
            }
            while let Some(frame) = body.frame().await {
                if let Ok(piece) = frame?.into_data() {
                    take(&piece);
                }
            }
            Ok(())
        };
        drive(connection, exchange).await
    }

    /// Whether the server has left the idle connection open.
    pub(crate) async fn is_open(&mut self) -> bool {
        let Self { sender, connection } = self;
        // The runtime must poll the socket once before it knows that the server closed it.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            _ = connection => false,
            ready = sender.ready() => ready.is_ok(),
        }
    }
}

/// Drives the connection and awaits the response in one task: two tasks would wake each other.
async fn drive<T>(
    connection: &mut http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
    exchange: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::select! {
        biased;
        response = exchange => response,
        _ = connection => Err(ClientError::Closed),
    }
}

/// Sends the requests one after the other over one connection, and returns the bodies.
///
/// # Errors
/// A request failed or its response was no success.
pub(crate) fn send_each(
    address: SocketAddr,
    requests: impl IntoIterator<Item = RequestSpec>,
) -> Result<Vec<Bytes>, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Client::open(address).await?;
        let mut bodies = Vec::new();
        for request in requests {
            let response = client.send(request.to_http()?).await?;
            if !response.status.is_success() {
                return Err(unexpected(&request, response.status, &response.body));
            }
            bodies.push(response.body);
        }
        Ok(bodies)
    })
}

/// The error of a response with another status than expected.
pub(crate) fn unexpected(request: &RequestSpec, status: StatusCode, body: &[u8]) -> ClientError {
    let body = String::from_utf8_lossy(body).into_owned();
    ClientError::UnexpectedStatus { path: request.path.clone(), status, body }
}

/// Sends a request and returns the JSON of its response.
///
/// # Errors
/// As [`send_each`], or the response is no JSON.
pub(crate) fn send_for_json(
    address: SocketAddr,
    request: RequestSpec,
) -> Result<Value, ClientError> {
    let path = request.path.clone();
    let body = send_each(address, [request])?.concat();
    serde_json::from_slice(&body).map_err(|cause| ClientError::NotJson { path, cause })
}

/// Reads a body. Most arrive in one piece, which is not copied.
async fn read_body(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut first = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if !first.is_empty() {
            let rest = body.collect().await?.to_bytes();
            return Ok([first, data, rest].concat().into());
        }
        first = data;
        if body.is_end_stream() {
            break;
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_response_in_pieces_is_joined_and_a_truncated_response_is_an_error() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            for end in ["hello", "he"] {
                // It may come in pieces.
                let mut text = String::new();
                while !text.ends_with("{}") {
                    let read = stream.read(&mut request).await.unwrap();
                    assert!(read > 0, "{text}");
                    text.push_str(str::from_utf8(&request[..read]).unwrap());
                }
                assert!(
                    text.starts_with("POST /a HTTP/1.1\r\nhost: localhost\r\nx-api-key: k\r\n")
                );
                assert!(text.contains("\r\nmcp-method: tools/call\r\n"), "{text}");
                assert!(text.ends_with("\r\n\r\n{}"), "{text}");
                for piece in ["HTTP/1.1 200 OK\r\nconte", "nt-length: 10\r\n\r\nagain", end] {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let request = RequestSpec {
            method: "POST".to_owned(),
            path: "/a".to_owned(),
            key: Some("k".to_owned()),
            body: Some("{}".to_owned()),
            headers: vec![("mcp-method".to_owned(), "tools/call".to_owned())],
        };
        let mut client = Client::open(address).await.unwrap();
        let response = client.send(request.to_http().unwrap()).await.unwrap();
        assert_eq!((response.status, &response.body[..]), (StatusCode::OK, &b"againhello"[..]));
        assert!(client.send(request.to_http().unwrap()).await.is_err());
    }
}
