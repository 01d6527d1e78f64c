from pathlib import Path

from thirdvote.pki import paths


def test_the_authoritys_key_is_in_the_folder_but_no_part_of_what_the_voter_gets() -> None:
    found = paths.data_directory(Path("/data"))
    assert found.ca_certificate == Path("/data/pki/ca.crt")
    assert found.server_certificate == Path("/data/pki/server.crt")
    assert found.server_key == Path("/data/pki/server.key")
    assert paths.ca_key(Path("/data")) == Path("/data/pki/ca.key")


def test_our_copies_in_the_stock_directory_have_names_that_no_stock_file_has() -> None:
    found = paths.stock_directory(Path("/db"))
    assert all(path.name.startswith("thirdvote-") for path in (found.ca_certificate, found.server_certificate, found.server_key))


def test_a_clusters_certificate_is_where_pvecm_fetches_it() -> None:
    assert paths.cluster_certificate(paths.STOCK_DIRECTORY, "lab") == Path("/etc/corosync/qnetd/nssdb/cluster-lab.crt")
