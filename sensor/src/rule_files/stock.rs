//! The rules that are built into the program.

macro_rules! stock {
    ($name:literal) => {
        (
            concat!("stock/", $name),
            include_str!(concat!("../../../rules/", $name)),
        )
    };
}

/// The rules of `rules/`, in the order of their names.
pub(crate) const STOCK_RULES: &[(&str, &str)] = &[
    stock!("arguments_incomplete_in_container.toml"),
    stock!("cloud_metadata_credentials_in_container.toml"),
    stock!("container_engine_client_in_container.toml"),
    stock!("container_passes_for_another.toml"),
    stock!("database_shell_in_container.toml"),
    stock!("debugger_attached_in_container.toml"),
    stock!("discovery_burst_in_container.toml"),
    stock!("download_made_executable_in_container.toml"),
    stock!("download_piped_to_shell_in_container.toml"),
    stock!("driven_shell_in_container.toml"),
    stock!("encoded_payload_in_container.toml"),
    stock!("file_sent_out_of_container.toml"),
    stock!("foreign_program_in_container.toml"),
    stock!("hidden_executable_in_container.toml"),
    stock!("history_cleared_in_container.toml"),
    stock!("host_disk_opened_in_container.toml"),
    stock!("host_entered_from_container.toml"),
    stock!("interactive_shell_in_container.toml"),
    stock!("kernel_changed_from_container.toml"),
    stock!("kernel_helper_changed_from_container.toml"),
    stock!("kernel_ran_program_for_container.toml"),
    stock!("kubernetes_client_in_container.toml"),
    stock!("loader_run_by_hand_in_container.toml"),
    stock!("miner_in_container.toml"),
    stock!("namespace_created_in_container.toml"),
    stock!("new_interactive_process_in_container.toml"),
    stock!("package_tool_installed_in_container.toml"),
    stock!("path_hidden_in_container.toml"),
    stock!("persistence_planted_in_container.toml"),
    stock!("reconnaissance_tool_in_container.toml"),
    stock!("reverse_shell_in_container.toml"),
    stock!("rights_from_foreign_program_in_container.toml"),
    stock!("rights_given_in_container.toml"),
    stock!("secret_file_read_in_container.toml"),
    stock!("sensor_attacked.toml"),
    stock!("sensor_blind.toml"),
    stock!("sensor_call_refused.toml"),
    stock!("sensor_interrupted.toml"),
    stock!("sensor_signalled.toml"),
    stock!("server_command_in_container.toml"),
    stock!("server_shell_in_container.toml"),
    stock!("shell_fed_by_pipe_in_container.toml"),
    stock!("tunnel_in_container.toml"),
];
