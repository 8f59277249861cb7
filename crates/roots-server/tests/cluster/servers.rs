//! Several servers on one cluster agree with each other.

use roots_testkit::http_writes::assert_servers_agree;
use roots_testkit::program::WorkFolder;

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_on_a_cluster_agree_with_the_reference_model() {
    let folder = WorkFolder::on_postgres().await;
    let servers = (0..3).map(|_| folder.serve()).collect();
    assert_servers_agree(&folder, servers).await;
}
