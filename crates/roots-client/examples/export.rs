//! Writes all data of the account into a file, which another account can import.
//!
//! ```sh
//! ROOTS_URL=http://127.0.0.1:8080 ROOTS_API_KEY=… \
//!   cargo run -p roots-client --example export roots.jsonl
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::pin::pin;

use futures_util::TryStreamExt;
use roots_client::Client;
use roots_client::model::ExportLine;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::new(&env::var("ROOTS_URL")?, env::var("ROOTS_API_KEY")?)?;
    let path = env::args().nth(1).ok_or("name the file to write")?;
    run(&client, &mut BufWriter::new(File::create(path)?)).await
}

pub(crate) async fn run(client: &Client, file: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut lines = pin!(client.export(None).await?);
    // A missing last line is an error here, so the file is whole if the loop ends well.
    while let Some(line) = lines.try_next().await? {
        file.write_all(&line.raw)?;
        if let ExportLine::End(end) = line.line {
            println!("{} rows, {} with a text that can't be read", end.total, end.unreadable);
        }
    }
    Ok(file.flush()?)
}
