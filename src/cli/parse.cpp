// The grammar of the command line. CLI11 is slow to compile: it is included here only.
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "host/deployments.hpp"
#include "host/registry.hpp"
#include "host/words.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include <functional>
#include <memory>

namespace souk::cli {
namespace {

using Run = std::function<int()>;

constexpr const char* examples = R"(
Examples:
  souk serve --demo                    a shop with data in it, and a session to paste
  souk serve --data /var/lib/souk --set http.address=0.0.0.0
  SOUK__HTTP__PORT=8080 souk serve     every setting is also a variable
  souk seed --account me@example.com --role admin
  souk config show                     every setting, its value, where it came from
  souk topology                        what the shop is made of
  souk verify                          whether the books agree with each other
  souk doctor                          whether all that is configured works
  souk serve --modules=order           one of the processes of a split shop

Where the shop is: seed, verify and events work on the shop in --data, beside its server or without
one. When any of peers.* is set they go to each module's process instead, with the certificate that
internal.certificate_file names (operator.crt of `souk dev-certs`) or the peers' shared key.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.)";

/// The parser, and the command that it found.
class CommandLine {
public:
    CommandLine() : app_("souk: an e-commerce platform in one binary", "souk") {
        app_.set_version_flag("--version", SOUK_VERSION, "Print the version");
        app_.set_help_flag("-h,--help", "Print this help");
        app_.require_subcommand(1);
        add_serve();
        add_migrate();
        add_seed();
        add_topology();
        add_dev_certs();
        add_config();
        add_trade();
        add_verify();
        add_doctor();
        add_events();
        add_healthcheck();
        add("version", "Print the version", [] {
            fmt::print("{}\n", SOUK_VERSION);
            return exit_ok;
        });
        app_.footer(examples);  // now, because the commands would inherit it
    }

    int run(int argc, char** argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& fault) {
            if (const std::string unknown = unknown_command(); !unknown.empty()) {
                fmt::print(stderr, "souk: {}\n", unknown);
                return exit_usage;
            }
            return app_.exit(fault) == 0 ? exit_ok : exit_usage;
        }
        return run_();
    }

private:
    /// What to say of a word that stands where a command is missing; CLI11 does not name it.
    std::string unknown_command() const {
        const CLI::App* at = &app_;
        std::string before = "souk";
        while (!at->get_subcommands().empty()) {
            at = at->get_subcommands().front();
            before += ' ' + at->get_name();
        }
        const std::vector<std::string> words = app_.remaining(true);
        if (at->get_require_subcommand_min() == 0 || words.empty()) return "";
        std::vector<std::string> names;
        for (const CLI::App* one : at->get_subcommands([](const CLI::App*) { return true; }))
            names.push_back(one->get_name());
        const std::string hint = host::did_you_mean(words.front(), names);
        return fmt::format(
            "there is no '{} {}'{}",
            before,
            words.front(),
            hint.empty() ? fmt::format("; there are: {}", fmt::join(names, ", ")) : hint
        );
    }

    CLI::App* add(std::string name, std::string description, Run run, CLI::App* parent = nullptr) {
        CLI::App* command = (parent != nullptr ? parent : &app_)
                                ->add_subcommand(std::move(name), std::move(description));
        command->callback([this, run = std::move(run)] { run_ = run; });
        return command;
    }

    /// An option that is another way to write a setting.
    static void add_setting(
        CLI::App* command,
        CommonOptions& common,
        const std::string& option,
        const std::string& key,
        const std::string& description
    ) {
        command
            ->add_option_function<std::string>(
                option,
                [&common, option, key](const std::string& value) {
                    common.flags.emplace_back(option, key + '=' + value);
                },
                description
            )
            ->type_name(key == "data.dir" ? "DIR" : "PORT")
            ->trigger_on_parse();  // so that the last one on the command line wins
    }

    static void add_common(CLI::App* command, CommonOptions& common) {
        add_setting(command, common, "--data", "data.dir", "The shop's folder [.souk-data]");
        command->add_option("--config", common.config_file, "A file of settings (TOML)")
            ->type_name("FILE");
        command
            ->add_option_function<std::vector<std::string>>(
                "--set",
                [&common](const std::vector<std::string>& assignments) {
                    for (const std::string& assignment : assignments)
                        common.flags.emplace_back("--set", assignment);
                },
                "Set one setting; may be repeated"
            )
            ->type_name("KEY=VALUE")
            ->allow_extra_args(false)
            ->trigger_on_parse();
    }

    /// The gateway and every module.
    static std::vector<std::string> role_names() {
        std::vector<std::string> names;
        for (const host::Deployment& one : host::deployments(souk::modules()))
            names.push_back(one.role);
        return names;
    }

    static void add_modules(CLI::App* command, std::vector<std::string>& modules) {
        const std::string roles = fmt::format("{}", fmt::join(role_names(), ", "));
        command
            ->add_option("--modules", modules, "Only these of " + roles + "; comma-separated [all]")
            ->delimiter(',')
            ->type_name("A,B");
    }

    void add_serve() {
        CLI::App* command = add("serve", "Run the shop", [this] { return cli::serve(serve_); });
        add_common(command, serve_.common);
        add_modules(command, serve_.modules);
        add_setting(
            command,
            serve_.common,
            "--port",
            "http.port",
            "Public port, 0: any [3000, or that of the module]"
        );
        add_setting(
            command,
            serve_.common,
            "--metrics-port",
            "metrics.port",
            "Port of metrics and probes, 0: any [9090]"
        );
        command
            ->add_flag(
                "--demo",
                serve_.demo,
                "Fill an empty shop with products, make an admin, show a session to paste"
            )
            ->excludes("--modules");  // products and accounts belong to two of them
        command->add_flag(
            "--takeover",
            serve_.takeover,
            "Get ready beside the server that runs in this folder, take its ports over, and let it "
            "end: no request fails. On servers only; starts as usual when none runs"
        );
        command->footer(
            "\nA part of the shop stands on PostgreSQL, RabbitMQ and Redis, and finds the others "
            "by\n"
            "[peers] and [internal] in the configuration. `souk topology` shows ports and who "
            "calls\n"
            "whom, `souk dev-certs` makes certificates, `souk doctor` tries it all.\n"
            "SIGTERM or Ctrl-C stops it in order; a second one at once."
        );
    }

    void add_migrate() {
        CLI::App* command = add("migrate", "Bring the databases up to date, then end", [this] {
            return cli::migrate(migrate_);
        });
        add_common(command, migrate_);
    }

    void add_seed() {
        CLI::App* command = add("seed", "Put products or an account into the shop", [this] {
            return cli::seed(seed_);
        });
        add_common(command, seed_.common);
        CLI::Option* demo = command->add_flag("--demo", seed_.demo, "A catalogue of gifts");
        CLI::Option* account =
            command
                ->add_option("--account", seed_.email, "Make this account, or reset its password")
                ->type_name("EMAIL");
        command->add_option("--role", seed_.role, "customer, staff, admin or importer")
            ->needs(account)
            ->default_val("customer")
            ->check(CLI::IsMember({"customer", "staff", "admin", "importer"}));
        command->add_option("--name", seed_.name, "The name of the account's owner")
            ->needs(account)
            ->type_name("NAME");
        command
            ->add_option(
                "--credentials",
                seed_.credentials_file,
                "Write e-mail and password there (mode 0600) instead of printing them"
            )
            ->needs(account)
            ->type_name("FILE");
        command->callback([this, demo, account] {
            if (demo->count() == 0 && account->count() == 0)
                throw CLI::RequiredError("seed: --demo or --account EMAIL");
            run_ = [this] { return cli::seed(seed_); };
        });
        command->footer("\nExample: souk seed --account me@example.com --role admin");
    }

    void add_topology() {
        CLI::App* command = add("topology", "What the shop is made of and who calls whom", [this] {
            return cli::topology(topology_json_);
        });
        command->add_flag("--json", topology_json_, "For programs");
    }

    void add_dev_certs() {
        CLI::App* command =
            add("dev-certs",
                "Make certificates for processes of their own, for development",
                [this] { return cli::dev_certs(dev_certs_); });
        command->add_option("folder", dev_certs_.folder, "Where to; made when it is absent")
            ->required()
            ->type_name("DIR");
        command->add_flag("--json", dev_certs_.as_json, "For programs");
        command->footer(
            "\nMakes what is missing: an authority (ca), a certificate for the gateway, each "
            "module\n"
            "and the operator's commands, and the key with which the gateway says who asks\n"
            "(identity). What is there stays. They hold for a year and for this machine; in\n"
            "production take certificates from elsewhere. Exits 1 when one has expired or is bad."
        );
    }

    void add_config() {
        CLI::App* config = app_.add_subcommand("config", "Check or show the configuration");
        config->require_subcommand(1);
        CLI::App* check = add(
            "check",
            "Find every fault in the configuration",
            [this] { return cli::config_check(config_); },
            config
        );
        add_common(check, config_);
        CLI::App* show = add(
            "show",
            "Every setting, its value and where it came from",
            [this] { return cli::config_show(config_, config_json_); },
            config
        );
        add_common(show, config_);
        show->add_flag("--json", config_json_, "For programs");
    }

    void add_healthcheck() {
        CLI::App* command = add("healthcheck", "Exit 0 when the server is ready, else 1", [this] {
            return cli::healthcheck(healthcheck_);
        });
        add_common(command, healthcheck_.common);
        command->add_option("--url", healthcheck_.url, "Ask there instead of the local server")
            ->type_name("URL");
    }

    void add_trade() {
        CLI::App* import =
            app_.add_subcommand("import", "Bring a data set's catalogue into a shop");
        import->require_subcommand(1);
        CLI::App* imported = add(
            "online-retail",
            "Products, stock and customers of UCI's \"Online Retail\"",
            [this] { return cli::import_online_retail(trade_); },
            import
        );
        add_shop(imported);
        CLI::App* replay = app_.add_subcommand("replay", "Place a data set's sales in a shop");
        replay->require_subcommand(1);
        CLI::App* replayed = add(
            "online-retail",
            "Every sale of UCI's \"Online Retail\", as fast as the shop takes them",
            [this] { return cli::replay_online_retail(trade_); },
            replay
        );
        add_shop(replayed);
        replayed->add_option("--connections", trade_.connections, "Connections at once [32]")
            ->check(CLI::Range(1, 1000))
            ->type_name("N");
        replayed->add_option("--report", trade_.report_file, "Write the report there as JSON")
            ->type_name("FILE");
        replayed->footer(
            "\nExits 1 when the shop's books differ from the file's. Run it again to "
            "finish what was cut off: nothing is doubled."
        );
    }

    void add_shop(CLI::App* command) {
        command->add_option("file", trade_.file, "The data set, CSV, gzipped or not")
            ->required()
            ->type_name("FILE");
        command->add_option("--url", trade_.url, "The shop")
            ->default_val("http://127.0.0.1:3000")
            ->type_name("URL");
        command
            ->add_option(
                "--credentials", trade_.credentials_file, "Of an importer (see souk seed --help)"
            )
            ->required()
            ->type_name("FILE");
        command->add_flag("--json", trade_.as_json, "For programs");
    }

    void add_verify() {
        CLI::App* command =
            add("verify", "Judge the books of all modules against each other", [this] {
                return cli::verify(verify_);
            });
        add_common(command, verify_.common);
        command
            ->add_option(
                "--settle",
                verify_.settle_s,
                "Wait so long for what is under way, then count it as a fault"
            )
            ->check(CLI::Range(0, 3600))
            ->type_name("SECONDS");
        command->add_flag("--json", verify_.as_json, "For programs");
        command->footer("\nExits 1 when a promise is broken. Works beside a running server.");
    }

    void add_doctor() {
        CLI::App* command =
            add("doctor", "Try everything that is configured, and say how to mend it", [this] {
                return cli::doctor(doctor_);
            });
        add_common(command, doctor_.common);
        add_modules(command, doctor_.modules);
        command->add_flag("--json", doctor_.as_json, "For programs");
        command->footer("\nChanges nothing, and works beside a running server. Exits 1 on a fault."
        );
    }

    void add_events() {
        CLI::App* events = app_.add_subcommand("events", "What modules tell each other");
        events->require_subcommand(1);
        CLI::App* dead =
            events->add_subcommand("dead", "Dead letters: events that a module could not handle");
        dead->require_subcommand(1);
        CLI::App* list = add(
            "list",
            "Show them, with the last error of each",
            [this] { return cli::list_dead_letters(dead_); },
            dead
        );
        add_common(list, dead_.common);
        list->add_flag("--json", dead_.as_json, "For programs, with the events' data");
        add_replay(dead);
        CLI::App* drop = add(
            "drop", "Forget one for good", [this] { return cli::drop_dead_letter(dead_); }, dead
        );
        add_common(drop, dead_.common);
        drop->add_option("consumer", dead_.consumer, "The module that could not handle it")
            ->required();
        drop->add_option("event", dead_.event_id, "The event's id, evt_...")->required();
    }

    void add_replay(CLI::App* dead) {
        CLI::App* replay = dead->add_subcommand("replay", "Let the module try again");
        add_common(replay, dead_.common);
        replay->add_option("consumer", dead_.consumer, "The module that could not handle it")
            ->required();
        CLI::Option* event = replay->add_option("event", dead_.event_id, "The event's id, evt_...");
        CLI::Option* all = replay->add_flag("--all", dead_.all, "All of this module's");
        event->excludes(all);
        replay->callback([this, event, all] {
            if (event->count() == 0 && all->count() == 0)
                throw CLI::RequiredError("replay: an event's id or --all");
            run_ = [this] { return cli::replay_dead_letter(dead_); };
        });
        replay->footer("\nMend the cause first. Other events of the aggregate have gone on.");
    }

    CLI::App app_;
    Run run_;
    DoctorOptions doctor_;
    DeadLetterOptions dead_;
    ServeOptions serve_;
    CommonOptions migrate_;
    SeedOptions seed_;
    bool topology_json_ = false;
    DevCertsOptions dev_certs_;
    CommonOptions config_;
    bool config_json_ = false;
    HealthcheckOptions healthcheck_;
    TradeOptions trade_;
    VerifyOptions verify_;
};

}  // namespace

int run(int argc, char** argv) {
    return CommandLine().run(argc, argv);
}

}  // namespace souk::cli
