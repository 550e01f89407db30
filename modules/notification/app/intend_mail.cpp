#include "app/intend_mail.hpp"

#include "souk/json.hpp"
#include "store/mail_store.hpp"

namespace souk::notification::app {

namespace {

struct OrderRef {
    std::string order_id;
    std::string user_id;
};

OrderRef read_order_ref(json::ObjectReader& in) {
    OrderRef ref;
    ref.order_id = in.text("order_id", {.min = 1, .max = 64});
    ref.user_id = in.text("user_id", {.max = 64});
    return ref;
}

}  // namespace

Task<Result<void>> intend_mail(
    Transaction& tx, const Clock& clock, std::string mail_template, Event event
) {
    auto ref = json::decode_as(event.data, &read_order_ref, json::Unknown::ignore);
    if (!ref) co_return ref.error();
    domain::Mail mail(
        domain::mail_id(event.id), std::move(mail_template), ref->order_id, ref->user_id
    );
    co_return co_await store::insert_mail(tx, std::move(mail), clock.now());
}

}  // namespace souk::notification::app
