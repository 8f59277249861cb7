//! The client of the Rust SDK, in both lifecycles.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use roots_testkit::app::{TestApp, http_client};
use roots_testkit::database::TestDatabase;
use serde_json::json;

roots_testkit::on_both! {
    the_rust_sdk_lists_and_calls_the_tools,
}

async fn connect(
    app: &TestApp,
    lifecycle: ClientLifecycleMode,
) -> RunningService<RoleClient, ClientConfig> {
    let key = HeaderValue::from_str(&format!("Bearer {}", app.key())).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, key)]);
    let client = http_client().default_headers(headers).build().unwrap();
    let config = StreamableHttpClientTransportConfig::with_uri(format!("{}/mcp", app.address));
    let transport = StreamableHttpClientTransport::with_client(client, config);
    ClientConfig::default().serve_with_lifecycle(transport, lifecycle).await.unwrap()
}

async fn the_rust_sdk_lists_and_calls_the_tools(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let newest = vec![ProtocolVersion::V_2026_07_28];
    for lifecycle in [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover { preferred_versions: newest.clone() },
        ClientLifecycleMode::Auto { preferred_versions: newest, legacy_version: None },
    ] {
        let client = connect(&app, lifecycle).await;
        let tools = client.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), 10);
        let arguments = json!({"todos": [{"title": "one"}]});
        let call = CallToolRequestParams::new("add_todos")
            .with_arguments(arguments.as_object().unwrap().clone());
        let added = client.call_tool(call).await.unwrap();
        assert_eq!(added.structured_content.unwrap()["todos"][0]["title"], "one");
        client.cancel().await.unwrap();
    }
    let listed = app.get("/todos").await.expect(200);
    assert_eq!(listed["total"], 3);
}
