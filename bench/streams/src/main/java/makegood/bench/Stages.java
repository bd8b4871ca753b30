package makegood.bench;

import java.io.FileInputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The hops of the pipeline on Kafka Streams, exactly_once_v2: for each record of a stage's driving topic, as many rows
 * into a RocksDB store (with its changelog) and as many records out, of the same sizes, as the pipeline has. No domain
 * logic. One argument: the properties file that bench/kafka_streams.py writes.
 */
public final class Stages {
  private static final String STORE = "rows";

  /** So many records (num for every den) of `bytes` bytes to `topic`. */
  private record Emit(String node, String topic, long num, long den, int bytes) {
    static Emit of(String stage, int index, String text) {
      String[] parts = text.split(":");
      return new Emit(
          stage + "-out-" + index,
          parts[0],
          Long.parseLong(parts[1]),
          Long.parseLong(parts[2]),
          Integer.parseInt(parts[3]));
    }
  }

  private record Stage(
      String name, String[] reads, String driver, long rowsNum, long rowsDen, int rowBytes, List<Emit> emits) {
    static Stage of(String name, Properties given) {
      List<Emit> emits = new ArrayList<>();
      for (String text : given.getProperty(name + ".emits").split(";")) {
        if (!text.isBlank()) {
          emits.add(Emit.of(name, emits.size(), text));
        }
      }
      String[] rows = given.getProperty(name + ".rows").split(":");
      return new Stage(
          name,
          given.getProperty(name + ".reads").split(","),
          given.getProperty(name + ".driver"),
          Long.parseLong(rows[0]),
          Long.parseLong(rows[1]),
          Integer.parseInt(rows[2]),
          emits);
    }

    Topology topology() {
      Topology topology = new Topology();
      topology.addSource("in", reads);
      topology.addProcessor("hop", () -> new Hop(this), "in");
      topology.addStateStore(
          Stores.keyValueStoreBuilder(
              Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray()),
          "hop");
      for (Emit emit : emits) {
        topology.addSink(emit.node(), emit.topic(), "hop");
      }
      return topology;
    }
  }

  private static final class Hop implements Processor<byte[], byte[], byte[], byte[]> {
    private final Stage stage;
    private final byte[] row;
    private final List<byte[]> values = new ArrayList<>();
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<String, byte[]> store;
    private long seen;

    Hop(Stage stage) {
      this.stage = stage;
      Random random = new Random(1);
      this.row = new byte[stage.rowBytes()];
      random.nextBytes(row);
      for (Emit emit : stage.emits()) {
        byte[] value = new byte[emit.bytes()];
        random.nextBytes(value);
        values.add(value);
      }
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
      context = given;
      store = given.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      if (!context.recordMetadata().orElseThrow().topic().equals(stage.driver())) {
        return;
      }
      long before = seen++;
      long offset = context.recordMetadata().orElseThrow().offset();
      long rows = due(before, stage.rowsNum(), stage.rowsDen());
      for (long i = 0; i < rows; i++) {
        store.put(context.taskId().partition() + "-" + offset + "-" + i, row);
      }
      for (int i = 0; i < values.size(); i++) {
        Emit emit = stage.emits().get(i);
        long times = due(before, emit.num(), emit.den());
        for (long n = 0; n < times; n++) {
          context.forward(record.withValue(values.get(i)), emit.node());
        }
      }
    }

    private static long due(long before, long num, long den) {
      return (before + 1) * num / den - before * num / den;
    }
  }

  public static void main(String[] arguments) throws Exception {
    Properties given = new Properties();
    try (FileInputStream file = new FileInputStream(arguments[0])) {
      given.load(file);
    }
    List<KafkaStreams> running = new ArrayList<>();
    CountDownLatch ready = new CountDownLatch(given.getProperty("stages").split(",").length);
    for (String name : given.getProperty("stages").split(",")) {
      KafkaStreams streams = new KafkaStreams(Stage.of(name, given).topology(), settings(name, given));
      streams.setUncaughtExceptionHandler(
          error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
          });
      streams.setStateListener(
          (to, from) -> {
            if (to == KafkaStreams.State.RUNNING) {
              ready.countDown();
            } else if (to == KafkaStreams.State.ERROR) {
              System.exit(1);
            }
          });
      running.add(streams);
    }
    Runtime.getRuntime().addShutdownHook(new Thread(() -> running.forEach(KafkaStreams::close)));
    running.forEach(KafkaStreams::start);
    ready.await();
    System.out.println("ready");
    new CountDownLatch(1).await();
  }

  private static Properties settings(String name, Properties given) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, given.getProperty("prefix") + "." + name);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given.getProperty("kafka"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, given.getProperty("folder"));
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(StreamsConfig.producerPrefix("batch.size"), 256 * 1024);
    settings.put(StreamsConfig.producerPrefix("max.request.size"), 1024 * 1024);
    return settings;
  }
}
