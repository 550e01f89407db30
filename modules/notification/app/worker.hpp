// The worker: leases queued mails a batch at a time, asks for their orders and customers, renders
// them, hands them over and marks them sent in one commit. Two batches are in hand at most, so that
// one renders while the other waits for the disk; that bounds the memory.
#pragma once

#include "app/outbox_folder.hpp"
#include "app/render.hpp"
#include "souk/background.hpp"
#include "souk/database.hpp"
#include "souk/log.hpp"
#include "souk/metrics.hpp"
#include "souk/pace.hpp"

#include <array>
#include <memory>

namespace souk::notification::app {

class Worker : public std::enable_shared_from_this<Worker> {
public:
    Worker(
        std::size_t batch,
        Executor executor,
        Database& database,
        Clock& clock,
        Logger log,
        Metrics& metrics,
        std::unique_ptr<Renderer> renderer,
        OutboxFolder outbox
    );

    void start(order::Api& orders, user::Api& users);
    /// There may be something due. From any thread, cheap.
    void wake();
    /// Takes nothing more; returns when the batches in hand are done or `deadline` has passed.
    Task<void> stop(Deadline deadline);

private:
    static constexpr std::size_t lanes = 2;
    struct Batch;

    Task<void> run(std::size_t lane);
    Task<std::size_t> process_batch();
    Task<Result<std::vector<domain::Mail>>> claim();
    Task<Result<void>> look_up(Batch& batch);
    void render(Batch& batch);
    Task<Result<void>> hand_over(Batch& batch);
    Task<void> postpone(std::vector<domain::Mail> mails, Error why);
    Deadline step_deadline() const;

    std::size_t batch_;
    Executor executor_;
    Database& database_;
    Clock& clock_;
    Logger log_;
    std::unique_ptr<Renderer> renderer_;
    OutboxFolder outbox_;
    order::Api* orders_ = nullptr;
    user::Api* users_ = nullptr;
    Counter& sent_;
    Counter& undeliverable_;

    // On the executor.
    std::array<std::unique_ptr<Wakeup>, lanes> work_;
    std::array<std::unique_ptr<Pace>, lanes> pace_;
    Wakeup drained_;
    std::size_t running_ = 0;
    bool stopping_ = false;
};

}  // namespace souk::notification::app
