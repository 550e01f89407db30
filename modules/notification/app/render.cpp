#include "app/render.hpp"

#include "domain/mime.hpp"

#include <kainjow/mustache.hpp>

#include <map>
#include <mutex>
#include <stdexcept>

namespace souk::notification::app {

namespace mustache = kainjow::mustache;

namespace {

/// Plain text: nothing is escaped, but a value never brings a line of its own. Members are
/// assigned, since the library's set() copies what it is given, with all that is in it.
mustache::data line_data(const order::OrderLine& line, Currency currency) {
    mustache::data data;
    data["quantity"] = std::to_string(line.quantity);
    data["product"] = domain::single_line(line.name);
    data["sku"] = domain::single_line(line.sku);
    data["unit_price"] = domain::unit_price_text(line.unit_price, currency);
    data["line_total"] = to_text(Money(line.total, currency));
    return data;
}

mustache::data data_of(const order::Order& order, const user::User& user) {
    mustache::data data;
    data["number"] = domain::single_line(order.number);
    data["name"] = domain::single_line(user.name);
    data["total"] = to_text(order.total);
    mustache::data& lines = data["lines"] = mustache::data(mustache::data::type::list);
    for (const auto& line : order.lines)
        lines.push_back(line_data(line, order.total.currency));
    auto because = domain::cancel_reason_text(order.cancel_reason);
    if (!because.empty()) data["because"] = std::string(because);
    return data;
}

std::string_view template_name(std::string_view path) {
    constexpr std::string_view folder = "templates/";
    constexpr std::string_view ending = ".mustache";
    if (!path.starts_with(folder) || !path.ends_with(ending)) return {};
    return path.substr(folder.size(), path.size() - folder.size() - ending.size());
}

}  // namespace

/// Parsed once. The library's render() is not const, so one mail at a time.
struct Renderer::Templates {
    std::mutex mutex;
    std::map<std::string, mustache::mustache, std::less<>> parsed;
};

Renderer::Renderer(std::string from, std::span<const embedded::File> files)
    : from_(std::move(from)), templates_(std::make_unique<Templates>()) {
    if (!domain::is_plain_address(from_))
        throw std::logic_error("modules.notification.from is not a plain mail address");
    for (const auto& file : files) {
        auto name = template_name(file.path);
        if (name.empty()) continue;
        mustache::mustache parsed{std::string(file.content)};
        if (!parsed.is_valid())
            throw std::logic_error(std::string(file.path) + ": " + parsed.error_message());
        parsed.set_custom_escape([](const std::string& value) { return value; });
        templates_->parsed.emplace(name, std::move(parsed));
    }
}

Renderer::~Renderer() = default;

Result<std::string> Renderer::render(
    const domain::Mail& mail, const order::Order& order, const user::User& user
) const {
    auto text = templates_->parsed.find(mail.mail_template);
    if (text == templates_->parsed.end())
        return Error(ErrorKind::internal, "unknown_template", mail.mail_template);
    if (!domain::is_plain_address(user.email))
        return invalid("bad_address", "the customer's address can't stand in a mail header");
    std::string rendered;
    {
        std::lock_guard lock(templates_->mutex);
        text->second.render(data_of(order, user), [&rendered](const std::string& piece) {
            rendered += piece;
        });
    }

    auto end_of_subject = rendered.find('\n');
    domain::Message message;
    message.id = mail.id;
    message.from = from_;
    message.to = user.email;
    message.to_name = user.name;
    message.subject = rendered.substr(0, end_of_subject);
    message.body = rendered.substr(end_of_subject + 1);
    message.date = mail.created_at;  // a repeat is the same message, byte for byte
    return domain::to_rfc5322(message);
}

}  // namespace souk::notification::app
