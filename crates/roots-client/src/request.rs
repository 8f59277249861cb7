//! Requests that take a condition or a name before they are sent.

use std::future::IntoFuture;
use std::pin::Pin;

use reqwest::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{Answer, ETag, Tagged};
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::idempotency::IdempotencyKey;
use crate::model::Query;

/// What comes of a request.
type Sent<'c, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'c>>;

/// How the body of an answer is read.
type Reader<T> = fn(&Answer) -> Result<Tagged<T>, Error>;

/// A read of one resource that has an [`ETag`]. Await it to send it.
#[must_use = "it is sent when it is awaited"]
pub struct Read<'c, T> {
    client: &'c Client,
    call: Call,
    reader: Reader<T>,
}

impl<'c, T: DeserializeOwned> Read<'c, T> {
    pub(crate) fn json(client: &'c Client, call: Call) -> Self {
        Self { client, call, reader: Answer::tagged }
    }
}

impl<'c> Read<'c, String> {
    pub(crate) fn text(client: &'c Client, call: Call) -> Self {
        Self { client, call, reader: |answer| Ok(answer.tagged_text()) }
    }
}

impl<'c, T> Read<'c, T> {
    /// The resource only if it is no longer in that state.
    pub fn if_none_match(self, tag: &ETag) -> ReadIfChanged<'c, T> {
        let call = self.call.if_none_match(tag);
        ReadIfChanged { client: self.client, call, reader: self.reader }
    }
}

impl<'c, T: 'c> IntoFuture for Read<'c, T> {
    type Output = Result<Tagged<T>, Error>;
    type IntoFuture = Sent<'c, Tagged<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { (self.reader)(&self.client.send(&self.call).await?) })
    }
}

/// A read of one resource that answers `None` if it is still in the state that the caller knows.
/// Await it to send it.
#[must_use = "it is sent when it is awaited"]
pub struct ReadIfChanged<'c, T> {
    client: &'c Client,
    call: Call,
    reader: Reader<T>,
}

impl<'c, T: 'c> IntoFuture for ReadIfChanged<'c, T> {
    type Output = Result<Option<Tagged<T>>, Error>;
    type IntoFuture = Sent<'c, Option<Tagged<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let answer = self.client.send(&self.call).await?;
            if answer.status == StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
            (self.reader)(&answer).map(Some)
        })
    }
}

/// A write that takes no condition, such as one that makes a resource. Await it to send it. It has
/// an idempotency key of its own.
#[must_use = "it is sent when it is awaited"]
pub struct Create<'c, T> {
    client: &'c Client,
    call: Result<Call, Error>,
    reader: Reader<T>,
}

impl<'c, T: DeserializeOwned> Create<'c, T> {
    pub(crate) fn new(client: &'c Client, call: Call, body: &impl Serialize) -> Self {
        Self { client, call: call.with_json(body), reader: Answer::tagged }
    }
}

impl<T> Create<'_, T> {
    /// Sends this idempotency key in place of the request's own, to repeat a write of an earlier
    /// run of the program.
    pub fn idempotency_key(self, key: &IdempotencyKey) -> Self {
        Self { call: self.call.map(|call| call.named(key)), ..self }
    }
}

impl<'c, T: 'c> IntoFuture for Create<'c, T> {
    type Output = Result<Tagged<T>, Error>;
    type IntoFuture = Sent<'c, Tagged<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { (self.reader)(&self.client.send(&self.call?).await?) })
    }
}

/// A write that answers `None` if there is nothing to do. Await it to send it. It has an
/// idempotency key of its own, under which the server keeps no `None`: a repetition tries anew.
#[must_use = "it is sent when it is awaited"]
pub struct CreateIfAny<'c, T> {
    client: &'c Client,
    call: Result<Call, Error>,
    reader: Reader<T>,
}

impl<'c, T: DeserializeOwned> CreateIfAny<'c, T> {
    pub(crate) fn new(client: &'c Client, call: Call, body: &impl Serialize) -> Self {
        Self { client, call: call.with_json(body), reader: Answer::tagged }
    }
}

impl<T> CreateIfAny<'_, T> {
    /// Sends this idempotency key in place of the request's own, to repeat a write of an earlier
    /// run of the program.
    pub fn idempotency_key(self, key: &IdempotencyKey) -> Self {
        Self { call: self.call.map(|call| call.named(key)), ..self }
    }
}

impl<'c, T: 'c> IntoFuture for CreateIfAny<'c, T> {
    type Output = Result<Option<Tagged<T>>, Error>;
    type IntoFuture = Sent<'c, Option<Tagged<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let answer = self.client.send(&self.call?).await?;
            if answer.status == StatusCode::NO_CONTENT {
                return Ok(None);
            }
            (self.reader)(&answer).map(Some)
        })
    }
}

/// A write that changes or deletes a resource. Await it to send it. It has an idempotency key of
/// its own.
#[must_use = "it is sent when it is awaited"]
pub struct Change<'c, T> {
    client: &'c Client,
    call: Result<Call, Error>,
    reader: Reader<T>,
}

impl<'c, T: DeserializeOwned> Change<'c, T> {
    pub(crate) fn patch(client: &'c Client, call: Call, body: &impl Serialize) -> Self {
        Self { client, call: call.with_json(body), reader: Answer::tagged }
    }

    pub(crate) fn delete(client: &'c Client, call: Call) -> Self {
        Self { client, call: Ok(call), reader: Answer::tagged }
    }

    pub(crate) fn with_query(self, query: Query) -> Self {
        Self { call: self.call.map(|call| call.with_query(query)), ..self }
    }
}

impl<T> Change<'_, T> {
    /// Writes only if the resource is still in that state. Otherwise the error's code is
    /// `precondition-failed`, and nothing is changed or charged.
    pub fn if_match(self, tag: &ETag) -> Self {
        Self { call: self.call.map(|call| call.if_match(tag)), ..self }
    }

    /// Sends this idempotency key in place of the request's own, to repeat a write of an earlier
    /// run of the program.
    pub fn idempotency_key(self, key: &IdempotencyKey) -> Self {
        Self { call: self.call.map(|call| call.named(key)), ..self }
    }
}

impl<'c, T: 'c> IntoFuture for Change<'c, T> {
    type Output = Result<Tagged<T>, Error>;
    type IntoFuture = Sent<'c, Tagged<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { (self.reader)(&self.client.send(&self.call?).await?) })
    }
}
